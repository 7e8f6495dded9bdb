#pragma once
// Failover regions: the parts of a job that have to restart together because records flow between them without being
// kept anywhere (Flink's pipelined regions, FLIP-1). Every exchange is pipelined, so a region is a connected component
// of the JobGraph's vertices: whole vertices and not single subtasks, since the subtasks of a source share the splits
// that its enumerator has given out.

#include <cstdint>
#include <vector>

#include "libdataflow/graph/job_graph.hpp"

namespace dataflow {

/// The region of each vertex. Regions are numbered from 0 by their first vertex.
std::vector<std::uint32_t> failover_regions(const JobGraph& graph);

}  // namespace dataflow
