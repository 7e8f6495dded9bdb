#pragma once
// A job's plan in the forms that `dfnode plan` prints.

#include <string>

#include "libdataflow/graph/job_graph.hpp"

namespace dataflow::cli {

/// For people: the tasks with their nodes, what each reads and gives.
std::string plan_as_text(const JobGraph& plan);
/// A flowchart for Mermaid (rendered by GitHub and GitLab), a box around each task.
std::string plan_as_mermaid(const JobGraph& plan);
/// For Graphviz.
std::string plan_as_dot(const JobGraph& plan);
/// One JSON object: settings, tasks, nodes with their edges and schemas.
std::string plan_as_json(const JobGraph& plan);

}  // namespace dataflow::cli
