#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>
#include <set>

#include "libdataflow/master/job_store.hpp"
#include "tests/support/memory_files.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;
using namespace std::chrono_literals;

namespace {

StoredJob job(const std::string& id, JobState state = JobState::running, const std::string& artifact = "") {
  StoredJob record;
  record.id = id;
  record.name = "spikes";
  record.artifact = artifact;
  record.arguments = {"--payments=7", "a \"quoted\"\nargument"};
  record.file_name = "spikes.toml";
  record.base_folder = "/data";
  record.overrides = {"operators.hot.where=\"temperature > 30\""};
  record.environment = {{"CITY", "Basel"}};
  record.parallelism = 3;
  record.followed = true;
  record.slots = 4;
  record.state = state;
  record.submitted_at = Timestamp{1h};
  if (is_terminal(state)) record.ended_at = Timestamp{2h};
  return record;
}

StoredJob failed_job() {
  StoredJob record = job("job-7", JobState::failed);
  record.error = Error{ErrorCode::malformed_data, "boom"};
  record.shown = R"({"state": "FAILED"})";
  record.losses = {{Timestamp{4}, 2, "killed by SIGKILL"}};
  return record;
}

JobStore open(FileAccess& files, std::size_t finished_jobs = 100) {
  auto store = JobStore::open(files, {.folder = "jm", .finished_jobs = finished_jobs});
  REQUIRE(store);
  return std::move(*store);
}

bool same(const StoredJob& a, const StoredJob& b) {
  return encode_stored_job(a) == encode_stored_job(b);
}

}  // namespace

TEST_CASE("what was put is there again when the store is opened anew, with all its parts") {
  MemoryFiles files;
  {
    JobStore store = open(files);
    REQUIRE(store.put(failed_job()));
    REQUIRE(store.put(job("other")));
  }
  const JobStore store = open(files);
  REQUIRE(store.jobs().size() == 2);
  const StoredJob& read = store.jobs().at("job-7");
  CHECK(same(read, failed_job()));
  CHECK(read.state == JobState::failed);
  CHECK(read.error->code() == ErrorCode::malformed_data);
  CHECK(read.error->message() == "boom");
  CHECK(read.shown == R"({"state": "FAILED"})");
  CHECK(read.overrides == failed_job().overrides);
  CHECK(read.environment.at("CITY") == "Basel");
  CHECK(read.parallelism == 3);
  REQUIRE(read.losses.size() == 1);
  CHECK(read.losses[0].at == Timestamp{4});
  CHECK(read.losses[0].start == 2);
  CHECK(read.losses[0].reason == "killed by SIGKILL");
  CHECK(read.followed);
  CHECK_FALSE(store.jobs().at("other").error);
  CHECK(store.jobs().at("other").losses.empty());
  CHECK(read.arguments[1] == "a \"quoted\"\nargument");
}

TEST_CASE("each opening has a higher leader epoch, and an earlier leader cannot write any more") {
  MemoryFiles files;
  JobStore first = open(files);
  CHECK(first.epoch() == 1);
  REQUIRE(first.put(job("a")));
  JobStore second = open(files);
  CHECK(second.epoch() == 2);
  const Status refused = first.put(job("a", JobState::canceled));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message() == "jm: another JobManager leads since epoch 2; this one had 1");
  CHECK_FALSE(first.put_artifact("text"));
  CHECK(second.put(job("a", JobState::finished)));
}

TEST_CASE("of two that open at the same moment one gets the epoch") {
  /// Lets another one take the epoch right before the link.
  class Overtaken final : public FileAccess {
   public:
    explicit Overtaken(MemoryFiles& files) : files_{files} {}
    Status make_folder(const std::string& p) override { return files_.make_folder(p); }
    Status write(const std::string& p, std::string_view b) override { return files_.write(p, b); }
    Status sync_file(const std::string& p) override { return files_.sync_file(p); }
    Status rename(const std::string& a, const std::string& b) override { return files_.rename(a, b); }
    Result<bool> link(const std::string& a, const std::string& b) override {
      open(files_);
      REQUIRE(files_.write(a, ""));
      return files_.link(a, b);
    }
    Status sync_folder(const std::string& p) override { return files_.sync_folder(p); }
    Status remove(const std::string& p) override { return files_.remove(p); }
    Result<std::string> read(const std::string& p) override { return files_.read(p); }
    Result<std::vector<std::string>> list(const std::string& p) override { return files_.list(p); }

   private:
    MemoryFiles& files_;
  };
  MemoryFiles files;
  Overtaken overtaken{files};
  const auto store = JobStore::open(overtaken, {.folder = "jm"});
  REQUIRE_FALSE(store);
  CHECK(store.error().message() ==
        "jm: another JobManager has taken leader epoch 1 at the same moment; is one running already?");
}

TEST_CASE("a damaged or newer record is an error that names its file, and the others are there") {
  MemoryFiles files;
  {
    JobStore store = open(files);
    const auto artifact = store.put_artifact("text");
    REQUIRE(store.put(job("broken", JobState::running, *artifact)));
    REQUIRE(store.put(job("whole")));
  }
  std::string& bytes = files.content("jm/jobs/broken.job");
  std::string says;
  SUBCASE("torn") {
    bytes.resize(bytes.size() - 10);
    says = "is damaged: ";
  }
  SUBCASE("empty") {
    bytes.clear();
    says = "is not the record of a job";
  }
  SUBCASE("a flipped bit") {
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
    says = "is damaged: its checksum does not match";
  }
  SUBCASE("newer") {
    bytes.replace(0, 14, "dataflow-job 2");
    says = "was written by a newer dataflow (version 2 of job records; this one reads up to 1)";
  }
  SUBCASE("under another name") {
    bytes = encode_stored_job(job("else"));
    says = "is the record of another job, \"else\"";
  }
  const JobStore store = open(files);
  CHECK(store.jobs().count("whole") == 1);
  REQUIRE(store.unreadable().size() == 1);
  CHECK(store.unreadable()[0].message().find("jm/jobs/broken.job: " + says) == 0);
  CHECK(files.exists("jm/artifacts/" + content_hash("text")));  // its job may still want it
}

TEST_CASE("no byte of a record can change unnoticed") {
  const std::string good = encode_stored_job(failed_job());
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      CAPTURE(at);
      CAPTURE(bit);
      CHECK_FALSE(decode_stored_job(bad, "f"));
    }
    CHECK_FALSE(decode_stored_job(good.substr(0, at), "f"));
  }
}

TEST_CASE("the history of jobs that have ended is bounded, and artifacts go with the last job that needs them") {
  MemoryFiles files;
  JobStore store = open(files, 2);
  const std::string shared = store.put_artifact("shared").value();
  const std::string own = store.put_artifact("own").value();
  REQUIRE(store.put(job("running", JobState::running, shared)));
  for (int i = 0; i < 4; ++i) {
    StoredJob record = job("ended-" + std::to_string(i), JobState::finished, i == 0 ? own : shared);
    record.ended_at = Timestamp{std::chrono::hours{10 + i}};
    REQUIRE(store.put(record));
  }
  CHECK(store.jobs().size() == 3);
  CHECK(store.jobs().count("ended-1") == 0);
  CHECK(store.artifact(shared) == Result<std::string>{"shared"});
  CHECK(store.artifact(own).error().code() == ErrorCode::not_found);
  CHECK_FALSE(files.exists("jm/jobs/ended-0.job"));
}

TEST_CASE("an artifact is kept once by its content, and a damaged one is not given out") {
  MemoryFiles files;
  JobStore store = open(files);
  const auto hash = store.put_artifact("abc");
  CHECK(hash == Result<std::string>{"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"});
  CHECK(store.put_artifact("abc") == hash);
  files.content("jm/artifacts/" + *hash) = "abd";
  CHECK(store.artifact(*hash).error().message() ==
        "jm/artifacts/" + *hash + ": is damaged: its content has another hash");
  CHECK(store.put_artifact("abc") == hash);  // heals it
  CHECK(store.artifact(*hash) == Result<std::string>{"abc"});
  CHECK_FALSE(store.artifact("../jobs/a"));
}

TEST_CASE("an artifact that was asked for stays until a record refers to it, also when its last job is forgotten") {
  MemoryFiles files;
  JobStore store = open(files, 1);
  const std::string hash = store.put_artifact("text").value();
  REQUIRE(store.put(job("old", JobState::finished, hash)));
  CHECK(store.keep_artifact(hash));
  CHECK_FALSE(store.keep_artifact(content_hash("else")));
  CHECK_FALSE(store.keep_artifact("../jobs/old"));
  StoredJob newer = job("newer", JobState::finished);
  newer.ended_at = Timestamp{3h};
  REQUIRE(store.put(newer));
  CHECK(store.jobs().count("old") == 0);
  CHECK(store.artifact(hash));
}

TEST_CASE("artifacts that no job ever refers to are bounded, and those of jobs do not count among them") {
  MemoryFiles files;
  JobStore store = JobStore::open(files, {.folder = "jm", .unclaimed_artifacts = 2}).value();
  const std::string used = store.put_artifact("used").value();
  const std::string first = store.put_artifact("first").value();
  REQUIRE(store.put(job("a", JobState::running, used)));
  const std::string second = store.put_artifact("second").value();
  CHECK(store.keep_artifact(first));  // now the newest
  CHECK(store.put_artifact("third"));
  CHECK_FALSE(store.artifact(second));
  CHECK(store.artifact(first));
  CHECK(store.artifact(used));
}

TEST_CASE("the store of another cluster is refused") {
  MemoryFiles files;
  open(files);
  const auto refused = JobStore::open(files, {.folder = "jm", .cluster = "other"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == ErrorCode::invalid_argument);
  CHECK(refused.error().message() == "jm belongs to the cluster \"dataflow\", not to \"other\"");
}

TEST_CASE("an id that is no file's name is refused") {
  MemoryFiles files;
  JobStore store = open(files);
  for (const char* id : {"", "../a", "a/b", "a.b"}) CHECK_FALSE(store.put(job(id)));
}

namespace {

/// What a client was told, and what may be there as well because the power went away while it was being done.
struct Told {
  std::map<std::string, std::vector<StoredJob>> may_be;  ///< by job; the first was confirmed last
  std::set<std::string> confirmed;
  std::uint64_t epoch = 0;
};

/// A life of a store, until a step fails.
Told live(FileAccess& files) {
  Told told;
  auto store = JobStore::open(files, {.folder = "jm", .finished_jobs = 1});
  if (!store) return told;
  told.epoch = store->epoch();
  const auto put = [&](const StoredJob& record) {
    told.may_be[record.id].push_back(record);
    if (!store->put(record)) return false;
    told.may_be[record.id] = {record};
    told.confirmed.insert(record.id);
    return true;
  };
  const auto own = store->put_artifact("of a alone");
  if (!own || !put(job("a", JobState::running, *own)) || !put(job("a", JobState::finished, *own))) return told;
  const auto shared = store->put_artifact("of the others");
  if (!shared || !put(job("b", JobState::created, *shared))) return told;
  told.confirmed.erase("a");  // the history has room for one
  StoredJob newest = job("c", JobState::failed, *shared);
  newest.ended_at = Timestamp{3h};
  put(newest);
  return told;
}

}  // namespace

TEST_CASE("a power cut before any step loses nothing that was confirmed and leaves nothing half done") {
  MemoryFiles whole;
  live(whole);
  const std::vector<std::string> steps = whole.steps();
  const std::set<std::string> named(steps.begin(), steps.end());
  for (const char* step : {"write jm/jobs/a.job.tmp", "sync jm/jobs/a.job.tmp", "rename jm/jobs/a.job",
                           "sync folder jm/jobs", "link jm/leader/epoch-1", "remove jm/jobs/a.job"}) {
    REQUIRE(named.count(step) == 1);
  }
  using Unsynced = MemoryFiles::Unsynced;
  for (std::size_t stop = 0; stop <= steps.size(); ++stop) {
    for (const Unsynced contents : {Unsynced::lost, Unsynced::torn, Unsynced::kept}) {
      for (const Unsynced names : {Unsynced::lost, Unsynced::kept}) {
        CAPTURE((stop < steps.size() ? steps[stop] : "the end"));
        CAPTURE(static_cast<int>(contents));
        CAPTURE(static_cast<int>(names));
        MemoryFiles files;
        files.stop_before(stop);
        const Told told = live(files);
        files.crash(contents, names);
        const JobStore store = open(files, 1);
        CHECK(store.epoch() > told.epoch);
        CHECK(store.unreadable().empty());
        for (const std::string& id : told.confirmed) REQUIRE(store.jobs().count(id) == 1);
        for (const auto& [id, record] : store.jobs()) {
          const auto& may_be = told.may_be.at(id);
          CHECK(std::any_of(may_be.begin(), may_be.end(), [&](const StoredJob& r) { return same(r, record); }));
          CHECK(store.artifact(record.artifact));
        }
        for (const char* folder : {"jm/jobs", "jm/artifacts", "jm/leader"}) {
          const auto left = files.list(folder).value();
          for (const std::string& name : left) CHECK(name.find(".tmp") == std::string::npos);
        }
      }
    }
  }
}

TEST_CASE("the store works on the system's files, and says which path the system refuses") {
  const std::string folder = "/tmp/dataflow-job-store-" + std::to_string(::getpid());
  const auto files = system_files();
  {
    auto store = JobStore::open(*files, {.folder = folder});
    REQUIRE(store);
    const std::string hash = store->put_artifact(std::string(300'000, 'x')).value();
    REQUIRE(store->put(job("a", JobState::running, hash)));
    REQUIRE(store->put(job("a", JobState::finished, hash)));
  }
  const auto store = JobStore::open(*files, {.folder = folder});
  REQUIRE(store);
  CHECK(store->epoch() == 2);
  CHECK(store->jobs().at("a").state == JobState::finished);
  CHECK(store->artifact(store->jobs().at("a").artifact)->size() == 300'000);
  CHECK(files->list(folder + "/leader") == Result<std::vector<std::string>>{{"epoch-2"}});
  std::filesystem::remove_all(folder);
  const auto refused = JobStore::open(*files, {.folder = "/proc/nowhere"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message().find("/proc/nowhere/jobs: the folder cannot be made: ") == 0);
}
