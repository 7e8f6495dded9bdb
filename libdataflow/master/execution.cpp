#include "libdataflow/master/execution.hpp"

namespace dataflow {

std::string_view to_string(ExecutionState state) {
  switch (state) {
    case ExecutionState::created: return "CREATED";
    case ExecutionState::scheduled: return "SCHEDULED";
    case ExecutionState::deploying: return "DEPLOYING";
    case ExecutionState::initializing: return "INITIALIZING";
    case ExecutionState::running: return "RUNNING";
    case ExecutionState::prepared: return "PREPARED";
    case ExecutionState::finished: return "FINISHED";
    case ExecutionState::canceling: return "CANCELING";
    case ExecutionState::canceled: return "CANCELED";
    case ExecutionState::failed: return "FAILED";
  }
  return "UNKNOWN";
}

std::string_view to_string(JobState state) {
  switch (state) {
    case JobState::created: return "CREATED";
    case JobState::running: return "RUNNING";
    case JobState::restarting: return "RESTARTING";
    case JobState::cancelling: return "CANCELLING";
    case JobState::canceled: return "CANCELED";
    case JobState::failing: return "FAILING";
    case JobState::failed: return "FAILED";
    case JobState::finished: return "FINISHED";
  }
  return "UNKNOWN";
}

bool is_terminal(JobState state) {
  return state == JobState::canceled || state == JobState::failed || state == JobState::finished;
}

}  // namespace dataflow
