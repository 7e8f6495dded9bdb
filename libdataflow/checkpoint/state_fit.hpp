#pragma once
// Whether a job can go on from a savepoint, said before anything is stopped or started: what becomes of each state.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/graph/job_graph.hpp"

namespace dataflow {

struct StateFit {
  enum class Outcome : std::uint8_t {
    kept,       ///< as it is
    converted,  ///< fields are added, removed or widened
    dropped,    ///< nobody takes it: an error unless that is allowed
    unused,     ///< its operator is there and does not ask for it any more
    begins,     ///< the operator has none in the savepoint and begins empty
    unfit,      ///< the job would fail
  } outcome = Outcome::kept;
  std::string op;     ///< uid
  std::string state;  ///< name; empty: of the operator as a whole
  std::uint64_t rows = 0;
  std::string detail;  ///< what is converted, or why it does not fit
};
std::string_view to_string(StateFit::Outcome outcome);

/// In the order of the job's nodes, then what it does not have. Opens the job's operators, but neither sources nor
/// sinks, as the job itself would, with rows of small tables only: what only a row can tell about keyed state is not
/// found out.
std::vector<StateFit> fit_state(const RestoredCheckpoint& checkpoint, const JobGraph& graph);

/// Whether the job would start. `unclaimed`: what is to become of dropped state.
bool fits(const std::vector<StateFit>& states, UnclaimedState unclaimed);

}  // namespace dataflow
