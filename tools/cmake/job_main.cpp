// The main of a job's program; the job comes from the source that has DATAFLOW_JOB.
#include <dataflow/program.hpp>

int main(int argc, char** argv) {
  return dataflow::run_program(argc, argv, dataflow_job_v1);
}
