#pragma once
// What takes the place of every sink in a simulated job: the file sink, on the simulated disk, so that what is
// committed can be compared, row by row. (Another sink reaches for a real outside world, which a simulation cannot
// stop, tear or forget.)

#include <set>
#include <string>
#include <vector>

#include "libdataflow/operators/operator.hpp"
#include "libdataflow/simulation/world.hpp"

namespace dataflow::simulation {

/// Where the parts of a sink are.
std::string output_folder(const std::string& sink);

/// Makes a part visible only when some completed checkpoint lists it, by what is on the disk; says a violation if not.
class CommitWatch {
 public:
  /// `storage_folder`: of the job's checkpoints.
  CommitWatch(World& world, std::string storage_folder) : world_{world}, storage_folder_{std::move(storage_folder)} {}
  void published(const std::string& sink, const std::string& part);

 private:
  void look();

  World& world_;
  std::string storage_folder_;
  std::set<std::string> seen_;    ///< folders of checkpoints
  std::set<std::string> listed_;  ///< parts, by any completed checkpoint
};

struct SinkPlace {
  World* world = nullptr;
  CommitWatch* watch = nullptr;
};

/// `world` and `watch` outlive it. When its parts are rolled and how they are laid out is drawn from `random`.
OperatorFactoryPtr make_sink(SinkPlace place, const std::string& sink, SchemaPtr schema, Random& random);

/// The rows that the sink has made visible, as one line each, sorted: of a changelog what is left of it, since how many
/// updates lead there depends on the order in which rows come.
std::vector<std::string> visible_rows(const Disk& disk, const std::string& sink);
/// Parts that are written and not visible.
std::vector<std::string> hidden_parts(const Disk& disk, const std::string& sink);

/// A row as a line: a JSON object in which a float64 has nine digits, as many as do not depend on the order of a sum.
void append_row_line(const Batch& batch, std::uint32_t row, std::string& out);

}  // namespace dataflow::simulation
