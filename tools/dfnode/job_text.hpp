#pragma once
// A cluster's answers about jobs and nodes, for people.

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace dataflow::cli {

/// A line for the job and one for each source and sink.
std::string summary_of_job(const nlohmann::json& job);
/// `dfnode show`: the summary, the subtasks, the failures.
std::string job_as_text(const nlohmann::json& job);
/// `dfnode why`: which operators wait for event time and who holds it back, and what became of the records.
std::string why_as_text(const nlohmann::json& job);
/// A line each.
std::string jobs_as_text(const nlohmann::json& jobs);
std::string nodes_as_text(const nlohmann::json& nodes);

/// Of checkpoints_as_json: a line each, the failed ones with why, and the savepoints.
std::string checkpoints_as_text(const nlohmann::json& checkpoints);

}  // namespace dataflow::cli
