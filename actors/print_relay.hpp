#pragma once
// Where `print` sinks write in a worker process: not to its standard output, which nobody sees, but to the one who
// follows the job. What has been handed over and not been taken yet is bounded; a sink that writes more waits, as it
// would for a slow reader of standard output.

#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <mutex>
#include <string>

namespace dataflow {

class PrintRelay {
 public:
  /// `hand_over` gets each piece of text, in order; called by the thread that writes.
  explicit PrintRelay(std::function<void(std::string)> hand_over) : hand_over_{std::move(hand_over)} {}

  /// A stream whose text goes here, unbuffered. Lives as long as the process, and so must this object.
  std::FILE* stream();

  /// The one who took text has had so many bytes more.
  void taken(std::uint64_t bytes);
  /// Whoever waits, or comes, fails with ECANCELED: the attempt is over.
  void close();
  void open();

 private:
  static ssize_t write(void* self, const char* text, std::size_t size);

  std::function<void(std::string)> hand_over_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t under_way_ = 0;
  bool closed_ = false;
};

}  // namespace dataflow
