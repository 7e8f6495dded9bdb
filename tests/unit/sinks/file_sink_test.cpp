#include "libdataflow/sinks/file_sink.hpp"

#include <doctest/doctest.h>

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <csignal>

#include "libdataflow/sinks/partition_path.hpp"
#include "tests/unit/sinks/sinking.hpp"

using namespace dataflow;
using namespace dataflow::testing;

namespace {

using Files = std::map<std::string, std::string>;

FileSinkSpec sink_to(const std::string& folder) {
  FileSinkSpec spec;
  spec.folder = folder;
  spec.uid = "out";
  spec.schema = city_schema();
  return spec;
}

using Guard = std::unique_ptr<JobGuard>;

/// A job is let start. Without the guard it is dead, as if its process had been killed.
Guard start(const FileSinkSpec& spec, const std::string& job_id, bool resumable = false) {
  auto guard = make_file_sink(spec)->before_job({.id = job_id, .resumable = resumable});
  REQUIRE_MESSAGE(guard, (guard ? "" : guard.error().message()));
  return std::move(*guard);
}

void end(Guard guard) {
  guard->job_ended();
}

/// One subtask of a job that has been let start.
struct Running {
  explicit Running(const FileSinkSpec& spec, std::uint32_t subtask = 0, std::uint32_t attempt = 0)
      : factory{make_file_sink(spec)}, context{subtask, attempt}, sink{factory->create()} {
    REQUIRE(sink->open(context));
  }
  Status write(const BatchPtr& batch) {
    const auto step = sink->process(0, batch, none);
    return step ? Status{} : fail(step.error());
  }
  void write_and_commit(const BatchPtr& batch, std::uint64_t epoch = 1) {
    REQUIRE(write(batch));
    REQUIRE(sink->pre_commit(epoch));
    REQUIRE(sink->commit(epoch));
  }

  OperatorFactoryPtr factory;
  SinkContext context;
  std::unique_ptr<Operator> sink;
  NoOutput none;
};

}  // namespace

TEST_CASE("rows are visible only once committed, and nothing hidden stays") {
  const TemporaryFolder folder;
  Running job{sink_to(folder.path() + "/new/out")};
  const std::string out = folder.path() + "/new/out";
  REQUIRE(job.write(cities({{"Basel", 1}, {"", 2}})));
  CHECK(visible_files(out).empty());
  REQUIRE(job.sink->pre_commit(1));
  CHECK(visible_files(out).empty());
  CHECK(hidden_files(out).size() == 1);
  REQUIRE(job.sink->commit(1));
  CHECK(visible_files(out) == Files{{"part-0-0.json", "{\"city\":\"Basel\",\"n\":1}\n{\"city\":null,\"n\":2}\n"}});
  CHECK(hidden_files(out).empty());
}

TEST_CASE("committing again changes nothing; a commit takes earlier epochs with it") {
  const TemporaryFolder folder;
  Running job{sink_to(folder.path())};
  REQUIRE(job.write(cities({{"a", 1}})));
  REQUIRE(job.sink->pre_commit(1));
  REQUIRE(job.sink->pre_commit(1));
  REQUIRE(job.write(cities({{"b", 2}})));
  REQUIRE(job.sink->pre_commit(2));
  REQUIRE(job.write(cities({{"c", 3}})));
  REQUIRE(job.sink->pre_commit(3));
  REQUIRE(job.sink->commit(2));
  REQUIRE(job.sink->commit(2));
  CHECK(visible_files(folder.path()).size() == 2);
  CHECK(hidden_files(folder.path()).size() == 1);
}

TEST_CASE("abort removes what is not committed, written or pre-committed") {
  const TemporaryFolder folder;
  Running job{sink_to(folder.path())};
  job.write_and_commit(cities({{"kept", 1}}));
  REQUIRE(job.write(cities({{"a", 1}})));
  REQUIRE(job.sink->pre_commit(2));
  REQUIRE(job.write(cities({{"b", 2}})));
  job.sink->abort();
  CHECK(visible_files(folder.path()).size() == 1);
  CHECK(hidden_files(folder.path()).empty());
}

TEST_CASE("an attempt that was killed leaves hidden parts, which the next attempt's start removes") {
  const TemporaryFolder folder;
  FileSinkSpec spec = sink_to(folder.path());
  Running dead{spec};
  REQUIRE(dead.write(cities({{"a", 1}})));
  REQUIRE(dead.sink->pre_commit(1));
  spec.uid = "out2";
  Running other{spec};
  REQUIRE(other.write(cities({{"b", 1}})));
  REQUIRE(dead.factory->before_attempt("job1", 1, nullptr));
  CHECK(hidden_files(folder.path()).size() == 1);
  CHECK(hidden_files(folder.path()).begin()->first.find("out2") != std::string::npos);
}

TEST_CASE("a folder with files in it is refused, and the error says what on_existing does") {
  const TemporaryFolder folder;
  FileSinkSpec spec = sink_to(folder.path());
  end(start(spec, "job1"));
  Running job{spec};
  job.write_and_commit(cities({{"a", 1}}));
  const auto refused = make_file_sink(spec)->before_job({.id = "job2"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == ErrorCode::invalid_argument);
  CHECK(refused.error().message().find(folder.path() + " already has 1 file (part-0-0.json)") != std::string::npos);
  CHECK(refused.error().message().find("on_existing = \"append\"") != std::string::npos);
}

TEST_CASE("append goes on behind the parts that are there") {
  const TemporaryFolder folder;
  FileSinkSpec spec = sink_to(folder.path());
  spec.on_existing = OnExisting::append;
  for (std::int64_t run = 0; run < 3; ++run) {
    auto guard = start(spec, "job" + std::to_string(run));
    Running job{spec};
    job.write_and_commit(cities({{"a", run}}));
    end(std::move(guard));
  }
  const Files files = visible_files(folder.path());
  CHECK(files.size() == 3);
  CHECK(files.at("part-0-2.json") == "{\"city\":\"a\",\"n\":2}\n");
}

TEST_CASE("replace removes the old parts when the new job commits, and nothing before or beside them") {
  const TemporaryFolder folder;
  FileSinkSpec spec = sink_to(folder.path());
  spec.partition_by = {0};
  {
    Running first{spec};
    first.write_and_commit(cities({{"old", 1}, {"both", 1}}));
  }
  std::ofstream{folder.path() + "/README"} << "mine";
  spec.on_existing = OnExisting::replace;
  auto guard = start(spec, "job1");
  Running zero{spec, 0};
  Running one{spec, 1};
  REQUIRE(zero.write(cities({{"both", 2}})));
  REQUIRE(one.write(cities({{"new", 3}})));
  REQUIRE(zero.sink->pre_commit(1));
  REQUIRE(one.sink->pre_commit(1));
  CHECK(visible_files(folder.path()).size() == 3);
  REQUIRE(one.sink->commit(1));
  REQUIRE(zero.sink->commit(1));
  end(std::move(guard));
  CHECK(visible_files(folder.path()) == Files{{"README", "mine"},
                                              {"city=both/part-0-0.json", "{\"city\":\"both\",\"n\":2}\n"},
                                              {"city=new/part-1-0.json", "{\"city\":\"new\",\"n\":3}\n"}});
  CHECK(hidden_files(folder.path()).empty());
}

TEST_CASE("partitions are folders whose names are escaped") {
  const auto partitions = rows_by_partition(*cities({{"a/b=c", 1}, {"", 2}, {"a/b=c", 3}, {"..", 4}}), {0, 1});
  std::vector<std::string> names;
  for (const auto& [name, rows] : partitions) names.push_back(name);
  CHECK(names == std::vector<std::string>{"city=%2E%2E/n=4", "city=__HIVE_DEFAULT_PARTITION__/n=2",
                                          "city=a%2Fb%3Dc/n=1", "city=a%2Fb%3Dc/n=3"});
}

TEST_CASE("a partition whose name is longer than a filesystem allows has a shorter one of its own") {
  const auto folder_of = [](const std::string& city) {
    return rows_by_partition(*cities({{city, 1}}), {0}).begin()->first;
  };
  CHECK(folder_of(std::string(250, 'a')) == "city=" + std::string(250, 'a'));
  const std::string longer = folder_of(std::string(300, 'a'));
  CHECK(longer == "city=" + std::string(195, 'a') + "-b527d82302db8d95");
  CHECK(longer != folder_of(std::string(301, 'a')));
  // Characters and escapes are not cut in two.
  std::string umlauts;
  std::string slashes;
  for (int i = 0; i < 150; ++i) {
    umlauts += "ö";
    slashes += "/";
  }
  CHECK(folder_of(umlauts).find("ö-") == 5 + 2 * 96);
  CHECK(folder_of(slashes).find("%2F-") == 5 + 3 * 64);
  CHECK(folder_of("a" + slashes).find("%2F-") == 5 + 1 + 3 * 63);
  CHECK(folder_of("aa" + slashes).find("%2F-") == 5 + 2 + 3 * 63);

  const TemporaryFolder folder;
  FileSinkSpec spec = sink_to(folder.path());
  spec.partition_by = {0};
  Running{spec}.write_and_commit(cities({{std::string(300, 'a'), 1}}));
  REQUIRE(visible_files(folder.path()).size() == 1);
  CHECK(visible_files(folder.path()).begin()->first.starts_with(longer + "/part-"));
}

TEST_CASE("what makes a part durable is its folder, and for a new partition the folder that has its name") {
  /// The operating system's files, and which folders have been synced.
  class Recording final : public PartFiles {
   public:
    std::vector<std::string> synced;
    Status make_folder(const std::string& folder) override { return files_.make_folder(folder); }
    Result<std::unique_ptr<OpenFile>> create(const std::string& path) override { return files_.create(path); }
    Status sync_folder(const std::string& folder) override {
      synced.push_back(folder);
      return files_.sync_folder(folder);
    }
    bool exists(const std::string& path) override { return files_.exists(path); }
    Result<bool> rename_to_new(const std::string& from, const std::string& to) override {
      return files_.rename_to_new(from, to);
    }
    Status remove(const std::string& path) override { return files_.remove(path); }
    Result<std::vector<std::string>> list(const std::string& folder) override { return files_.list(folder); }

   private:
    PartFiles& files_ = *system_part_files();
  };
  const TemporaryFolder folder;
  const auto files = std::make_shared<Recording>();
  FileSinkSpec spec = sink_to(folder.path());
  spec.partition_by = {0};
  spec.files = files;
  Running running{spec};
  REQUIRE(running.write(cities({{"Basel", 1}})));
  REQUIRE(running.sink->pre_commit(1));
  CHECK(files->synced == std::vector<std::string>{folder.path(), folder.path() + "/city=Basel"});
}

TEST_CASE("more partitions than may be open at once lose no row") {
  const TemporaryFolder folder;
  FileSinkSpec spec = sink_to(folder.path());
  spec.partition_by = {1};
  Running job{spec};
  std::vector<std::pair<std::string, std::int64_t>> rows;
  for (std::int64_t n = 0; n < 200; ++n) rows.emplace_back("x", n);
  REQUIRE(job.write(cities(rows)));
  job.write_and_commit(cities(rows));
  std::string all;
  for (const auto& [name, content] : visible_files(folder.path())) all += content;
  CHECK(std::count(all.begin(), all.end(), '\n') == 400);
}

TEST_CASE("parts roll at their size and after their interval") {
  const TemporaryFolder folder;
  FileSinkSpec spec = sink_to(folder.path());
  spec.roll_size = 30;
  spec.roll_interval = std::chrono::seconds{10};
  Running job{spec};
  CHECK_FALSE(job.sink->next_processing_timer());
  REQUIRE(job.write(cities({{"Basel", 1}, {"Bern", 2}})));
  REQUIRE(job.write(cities({{"Chur", 3}})));
  REQUIRE(job.sink->next_processing_timer());
  CHECK(*job.sink->next_processing_timer() == Timestamp{std::chrono::seconds{10}});
  REQUIRE(job.sink->on_processing_time(Timestamp{std::chrono::seconds{10}}, job.none));
  CHECK_FALSE(job.sink->next_processing_timer());
  job.write_and_commit(cities({{"Genf", 4}}));
  CHECK(visible_files(folder.path()).size() == 3);
}

TEST_CASE("CSV parts each begin with the header") {
  const TemporaryFolder folder;
  FileSinkSpec spec = sink_to(folder.path());
  spec.format = OutputFormat::csv;
  Running job{spec};
  REQUIRE(job.write(cities({{"a", 1}})));
  job.write_and_commit(cities({{"b", 2}}));
  job.write_and_commit(cities({{"c", 3}}), 2);
  CHECK(visible_files(folder.path()) ==
        Files{{"part-0-0.csv", "city,n\na,1\nb,2\n"}, {"part-0-1.csv", "city,n\nc,3\n"}});
}

TEST_CASE("compressed parts are whole files of their kind") {
  const TemporaryFolder folder;
  FileSinkSpec spec = sink_to(folder.path());
  std::vector<std::pair<std::string, std::int64_t>> rows;
  for (std::int64_t n = 0; n < 4000; ++n) rows.emplace_back("city" + std::to_string(n * 7919 % 4001), n);
  for (const OutputCompression compression :
       {OutputCompression::gzip, OutputCompression::zstd, OutputCompression::none}) {
    spec.compression = compression;
    Running job{spec};
    job.write_and_commit(cities(rows));
  }
  const Files files = visible_files(folder.path());
  const std::string plain = files.at("part-0-0.json");
  std::string unpacked(plain.size(), '\0');
  const std::string zst = files.at("part-0-0.json.zst");
  CHECK(ZSTD_decompress(unpacked.data(), unpacked.size(), zst.data(), zst.size()) == plain.size());
  CHECK(unpacked == plain);
  gzFile gz = ::gzopen((folder.path() + "/part-0-0.json.gz").c_str(), "rb");
  std::string from_gz(plain.size() + 1, '\0');
  CHECK(::gzread(gz, from_gz.data(), static_cast<unsigned>(from_gz.size())) == static_cast<int>(plain.size()));
  ::gzclose(gz);
  from_gz.resize(plain.size());
  CHECK(from_gz == plain);
}

TEST_CASE("a write that fails names the file and what to do, and leaves nothing visible") {
  const TemporaryFolder folder;
  Running job{sink_to(folder.path())};
  struct rlimit before {};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = before;
  small.rlim_cur = 100'000;
  ::setrlimit(RLIMIT_FSIZE, &small);
  Status written;
  const BatchPtr batch = cities(std::vector<std::pair<std::string, std::int64_t>>(4000, {"Basel", 1}));
  for (int i = 0; i < 20 && written; ++i) written = job.write(batch);
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  REQUIRE_FALSE(written);
  CHECK(written.error().code() == ErrorCode::io);
  CHECK(written.error().message().find(folder.path() + "/.part.job1.out.0.0.0.json: File too large") !=
        std::string::npos);
  CHECK(visible_files(folder.path()).empty());
  job.sink->abort();
  CHECK(hidden_files(folder.path()).empty());
}

TEST_CASE("a full disk is said to be one") {
  const TemporaryFolder folder;
  // Needs the right to mount (in a namespace of its own, so that nobody else sees it); elsewhere the size limit above
  // stands for it.
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return;
  if (::mount("none", folder.path().c_str(), "tmpfs", 0, "size=256k") != 0) return;
  {
    Running job{sink_to(folder.path())};
    Status written;
    const BatchPtr batch = cities(std::vector<std::pair<std::string, std::int64_t>>(4000, {"Basel", 1}));
    for (int i = 0; i < 20 && written; ++i) written = job.write(batch);
    CHECK_FALSE(written);
    if (!written) {
      CHECK(written.error().message().find("No space left on device; free some space") != std::string::npos);
    }
    job.sink->abort();
    CHECK(hidden_files(folder.path()).empty());
    CHECK(visible_files(folder.path()).empty());
  }
  ::umount(folder.path().c_str());
}

TEST_CASE("a path that is a file is no folder") {
  const TemporaryFolder folder;
  std::ofstream{folder.path() + "/file"} << "x";
  const auto refused = make_file_sink(sink_to(folder.path() + "/file"))->before_job({.id = "job1"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message().find("cannot make the folder " + folder.path() + "/file") == 0);
}
