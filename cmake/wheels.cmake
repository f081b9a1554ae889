# The ROS wheels' imported targets name include folders of the machine that built them, and CMake refuses a folder
# that is not there.  Drop those once the project is configured.  On a full ROS none is missing, and nothing happens.
function(qkd_drop_missing_includes)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(folders)
      set(present)
      foreach(folder IN LISTS folders)
        if(folder MATCHES "^\\$<" OR EXISTS "${folder}") # generator expressions are not paths yet
          list(APPEND present "${folder}")
        endif()
      endforeach()
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${present}")
    endif()
  endforeach()
endfunction()
cmake_language(DEFER CALL qkd_drop_missing_includes)
