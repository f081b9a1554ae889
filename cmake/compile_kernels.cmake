# Run at installation: byte code, and the numerical kernels beside the installed code (see qkd_gs/jit.py).
# Given: prefix (with DESTDIR), python_dir below it, python, warm_up.
if(DEFINED ENV{PYTHONPATH})
  set(ENV{PYTHONPATH} "${prefix}/${python_dir}:$ENV{PYTHONPATH}")
else()
  set(ENV{PYTHONPATH} "${prefix}/${python_dir}")
endif()
set(ENV{QKD_GS_INSTALLING} 1)
unset(ENV{NUMBA_CACHE_DIR})

execute_process(COMMAND "${python}" -c "import numba, qkd_gs.sim.lockstep, qkd_gs.processing.pipeline"
  RESULT_VARIABLE lacking ERROR_VARIABLE reason)
if(lacking)
  string(REGEX REPLACE ".*\n([^\n]+)\n*$" "\\1" reason "${reason}")
  message(STATUS "Numerical kernels are compiled when they are first used: ${reason}")
  return()
endif()

message(STATUS "Compiling the numerical kernels; this takes a minute")
execute_process(COMMAND "${python}" "${warm_up}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${python}" -m compileall -q -s "$ENV{DESTDIR}" "${prefix}/${python_dir}/qkd_gs" COMMAND_ERROR_IS_FATAL ANY)
