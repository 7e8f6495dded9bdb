// Submits a job, cancels it, waits until it is CANCELED, and again: COUNT times, by PARALLEL clients that stay
// connected. A process of dfnode for each of these steps would cost more than what the cluster does.
//
//   job_cycles HOST:PORT FILE COUNT PARALLEL

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "actors/cluster/client.hpp"

using namespace dataflow;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds deadline{60};
constexpr std::chrono::milliseconds between_looks{10};

[[noreturn]] void give_up(const std::string& why) {
  std::cerr << "job_cycles: " << why << std::endl;
  std::_Exit(1);
}

nlohmann::json must(const Result<std::string>& answer) {
  if (!answer) give_up(answer.error().message());
  return nlohmann::json::parse(*answer);
}

void cycle(ClusterClient& client, const Submission& submission) {
  const std::string job = must(client.submit(submission)).at("id");
  must(client.call({.job = job, .verb = JobCall::Verb::cancel}));
  const auto end = Clock::now() + deadline;
  for (;;) {
    const auto shown = must(client.call({.job = job, .verb = JobCall::Verb::show}));
    if (shown.at("state") == "CANCELED") return;
    if (Clock::now() > end) give_up("job " + job + " is not cancelled in time: " + shown.dump());
    std::this_thread::sleep_for(between_looks);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) give_up("HOST:PORT FILE COUNT PARALLEL");
  const auto at = parse_endpoint(argv[1]);
  if (!at) give_up(at.error().message());
  std::atomic<int> left{std::atoi(argv[3])};
  std::vector<std::thread> threads;
  for (int i = 0; i < std::atoi(argv[4]); ++i) {
    threads.emplace_back([&] {
      auto client = ClusterClient::connect(*at, ControlSettings{}, deadline);
      if (!client) give_up(client.error().message());
      Submission submission;
      submission.file = argv[2];
      while (left.fetch_sub(1) > 0) cycle(**client, submission);
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Nothing is left to be put in order.
  std::_Exit(0);
}
