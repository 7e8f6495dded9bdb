// How long a call to a running job takes, from a client that stays connected. Started by the rows of cluster/, prints
// one JSON object: {"count": ..., "p50_ms": ..., "p99_ms": ..., "max_ms": ...}.
//
//   cluster_calls HOST:PORT COUNT show JOB
//   cluster_calls HOST:PORT COUNT ask JOB OPERATOR STATE KEY
//   cluster_calls HOST:PORT COUNT send JOB OPERATOR MESSAGE JSON

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "actors/cluster/client.hpp"

using namespace dataflow;

namespace {

using Clock = std::chrono::steady_clock;

/// Between two calls: what is measured is an answer's time, not how many there can be.
constexpr std::chrono::milliseconds between_calls{5};
constexpr std::chrono::seconds timeout{10};

[[noreturn]] void give_up(const std::string& why) {
  std::cerr << "cluster_calls: " << why << "\n";
  std::exit(1);
}

JobCall call_of(const std::vector<std::string>& words) {
  JobCall call;
  call.job = words[1];
  if (words[0] == "show") return call;
  if (words.size() < 5) give_up("ask and send need OPERATOR, NAME and KEY or JSON");
  call.verb = words[0] == "ask" ? JobCall::Verb::ask : JobCall::Verb::send;
  call.node = words[2];
  call.name = words[3];
  (words[0] == "ask" ? call.key_json : call.json) = words[4];
  return call;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 4) give_up("HOST:PORT COUNT VERB JOB [...]");
  const auto at = parse_endpoint(words[0]);
  if (!at) give_up(at.error().message());
  const int count = std::atoi(words[1].c_str());
  const JobCall call = call_of({words.begin() + 2, words.end()});
  auto client = ClusterClient::connect(*at, ControlSettings{}, timeout);
  if (!client) give_up(client.error().message());
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    const auto began = Clock::now();
    const auto answer = (*client)->call(call);
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - began).count());
    if (!answer) give_up(answer.error().message());
    std::this_thread::sleep_for(between_calls);
  }
  std::sort(times.begin(), times.end());
  const auto percentile = [&](double share) { return times[static_cast<std::size_t>((times.size() - 1) * share)]; };
  std::cout << "{\"count\": " << count << ", \"p50_ms\": " << percentile(0.5) << ", \"p99_ms\": " << percentile(0.99)
            << ", \"max_ms\": " << times.back() << "}\n";
  // Nothing is left to be put in order.
  std::cout.flush();
  std::_Exit(0);
}
