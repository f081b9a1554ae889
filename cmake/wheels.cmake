# What it takes to build against the ROS wheels in a virtual environment; on a full ROS all of this does nothing.

# A full ROS sets this in its setup file; the wheels have none.
if(NOT DEFINED ENV{AMENT_PREFIX_PATH} AND DEFINED ENV{VIRTUAL_ENV})
  set(ENV{AMENT_PREFIX_PATH} "$ENV{VIRTUAL_ENV}")
endif()

# The wheels' imported targets name include folders of the machine that built them, and CMake refuses a folder
# that is not there.  Drop those once the project is configured.
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
