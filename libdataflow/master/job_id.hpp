#pragma once
// Names of jobs. They set apart what jobs leave in places that they share (parts of an output folder, transactions),
// also of jobs that know nothing of each other, so they are drawn and not counted.

#include <string>

namespace dataflow {

/// 16 hexadecimal digits, from the operating system's randomness.
std::string random_job_id();

}  // namespace dataflow
