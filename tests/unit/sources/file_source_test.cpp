#include "libdataflow/sources/file_source.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/unit/sources/reading.hpp"

using namespace dataflow;
using dataflow::testing::read_all;
using dataflow::testing::TemporaryFolder;

namespace {

FileSourceSpec numbers(std::string path, TextFormat format = TextFormat::csv) {
  FileSourceSpec spec;
  spec.path = std::move(path);
  spec.decoder.format = format;
  spec.decoder.fields = {SourceField{Field{"n", TypeKind::int64}}};
  return spec;
}

std::string gzipped(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 1024, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstandard(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::string many_numbers(int count) {
  std::string text = "n\n";
  for (int i = 0; i < count; ++i) text += std::to_string(i) + "\n";
  return text;
}

}  // namespace

TEST_CASE("a file is one split with one reader") {
  const TemporaryFolder folder;
  const auto got = read_all(*make_file_source(numbers(folder.write("a.csv", "n\n1\n2\n"))));
  CHECK(got.failure == "");
  CHECK(got.splits == std::vector<std::string>{"a.csv"});
  CHECK(got.rows == "{\"n\":1}\n{\"n\":2}\n");
}

TEST_CASE("a malformed record is reported with its line, also behind quoted newlines and blank lines") {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.csv", "n,s\n1,\"x\ny\"\n\n2,z\nbad,\"p\nq\"\n3,w\n");
  const auto got = read_all(*make_file_source(numbers(path)));
  CHECK(got.rows == "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
  REQUIRE(got.errors.size() == 1);
  CHECK(got.errors[0] == "a.csv, line 6: field \"n\": \"bad\" is not an int64");
}

TEST_CASE("a row's place in the data is known while its batch is given") {
  class Places final : public SourceOutput {
   public:
    SourceReader* reader = nullptr;
    std::vector<std::string> places;
    void emit(BatchPtr batch, std::string_view) override {
      for (std::uint32_t row = 0; row < batch->rows(); row += 2) {
        const RecordPlace place = reader->place_of(row);
        places.push_back(place.position + ": " + place.raw.value_or("?"));
      }
    }
    void malformed(std::string_view, std::string_view, std::string_view) override {}
    [[nodiscard]] bool full() const override { return false; }
    [[nodiscard]] std::uint32_t batch_rows() const override { return max_batch_rows; }
  };
  const TemporaryFolder folder;
  const auto source = make_file_source(
      numbers(folder.write("a.csv", "n,s\n1,\"x\ny\"\n\n2,z\nbad,\"p\nq\"\n\n3,\"v\nw\"\r\n4,u\n5,end\n")));
  const auto enumerator = source->create_enumerator();
  REQUIRE(enumerator->open(1));
  const auto reader = source->create_reader();
  REQUIRE(reader->start_split(enumerator->next(0, Timestamp{})->split));
  Places places;
  places.reader = reader.get();
  while (reader->poll(places)->kind == SourceStep::Kind::more) {
  }
  CHECK(places.places ==
        std::vector<std::string>{"a.csv, line 2: 1,\"x\ny\"", "a.csv, line 9: 3,\"v\nw\"", "a.csv, line 12: 5,end"});
}

TEST_CASE("links that lead nowhere are named, and pipes in a folder are no files to read") {
  const TemporaryFolder folder;
  folder.write("ok.csv", "n\n1\n");
  REQUIRE(::mkfifo((folder.path() + "/pipe.csv").c_str(), 0600) == 0);
  CHECK(read_all(*make_file_source(numbers(folder.path()))).rows == "{\"n\":1}\n");
  CHECK(read_all(*make_file_source(numbers(folder.path() + "/*.csv"))).rows == "{\"n\":1}\n");
  REQUIRE(::symlink("/nowhere", (folder.path() + "/dangling.csv").c_str()) == 0);
  const std::string failure = read_all(*make_file_source(numbers(folder.path()))).failure;
  CHECK(failure.find("dangling.csv") != std::string::npos);
}

TEST_CASE("a folder is read in path order with its subfolders, without hidden names") {
  const TemporaryFolder folder;
  folder.write("b.csv", "n\n2\n");
  folder.write("a/z.csv", "n\n1\n");
  folder.write(".hidden.csv", "n\n9\n");
  folder.write(".old/x.csv", "n\n9\n");
  const auto got = read_all(*make_file_source(numbers(folder.path())));
  CHECK(got.splits == std::vector<std::string>{"a/z.csv", "b.csv"});
  CHECK(got.rows == "{\"n\":1}\n{\"n\":2}\n");
}

TEST_CASE("a glob is read in path order") {
  const TemporaryFolder folder;
  for (const char* name : {"c2.csv", "c1.csv", "d1.csv"}) folder.write(name, "n\n1\n");
  const auto got = read_all(*make_file_source(numbers(folder.path() + "/c?.csv")));
  CHECK(got.splits == std::vector<std::string>{"c1.csv", "c2.csv"});
}

TEST_CASE("what cannot be read is named with what to do") {
  const TemporaryFolder folder;
  const auto failure = [&](const std::string& path) { return read_all(*make_file_source(numbers(path))).failure; };
  CHECK(failure(folder.path() + "/none.csv") == folder.path() + "/none.csv does not exist; check the path");
  CHECK(failure(folder.path()).find("has no files") != std::string::npos);
  CHECK(failure(folder.path() + "/*.csv").find("no file matches") != std::string::npos);
  CHECK(failure(folder.write("bad.csv", "m\n1\n")).find("bad.csv: the header has no column \"n\"; it has: m") !=
        std::string::npos);
  if (::geteuid() != 0) {
    const std::string locked = folder.write("locked.csv", "n\n1\n");
    ::chmod(locked.c_str(), 0);
    CHECK(failure(locked).find("no permission to read") != std::string::npos);
  }
}

TEST_CASE("an empty file has no records") {
  const TemporaryFolder folder;
  for (const auto format : {TextFormat::csv, TextFormat::json}) {
    const auto got = read_all(*make_file_source(numbers(folder.write("e.csv", ""), format)));
    CHECK(got.failure == "");
    CHECK(got.rows == "");
  }
}

TEST_CASE("compressed files are read by their names, with several members or frames") {
  const TemporaryFolder folder;
  const std::string text = many_numbers(100'000);
  const auto plain = read_all(*make_file_source(numbers(folder.write("a.csv", text))));
  const std::string half = text.substr(0, text.size() / 2);
  const std::string rest = text.substr(half.size());
  const auto gz = read_all(*make_file_source(numbers(folder.write("a.csv.gz", gzipped(half) + gzipped(rest)))), 4);
  const auto zst = read_all(*make_file_source(numbers(folder.write("a.csv.zst", zstandard(half) + zstandard(rest)))));
  CHECK(gz.failure == "");
  CHECK(gz.rows == plain.rows);
  CHECK(gz.splits.size() == 1);
  CHECK(zst.failure == "");
  CHECK(zst.rows == plain.rows);
}

TEST_CASE("compressed data that is cut off or damaged is an error with the file's name") {
  const TemporaryFolder folder;
  const std::string gz = gzipped(many_numbers(1000));
  const std::string zst = zstandard(many_numbers(1000));
  const auto failure = [&](const std::string& name, const std::string& content) {
    return read_all(*make_file_source(numbers(folder.write(name, content)))).failure;
  };
  CHECK(failure("a.csv.gz", gz.substr(0, gz.size() / 2)).find("a.csv.gz") != std::string::npos);
  CHECK(failure("a.csv.gz", gz.substr(0, gz.size() / 2)).find("cut off") != std::string::npos);
  CHECK(failure("a.csv.zst", zst.substr(0, zst.size() - 3)).find("cut off") != std::string::npos);
  CHECK(failure("b.csv.gz", "n\n1\n").find("damaged") != std::string::npos);
  CHECK(failure("b.csv.zst", "n\n1\n2\n3\n").find("damaged") != std::string::npos);
}

TEST_CASE("a large file is read in splits that begin and end at records, with positions in bytes") {
  const TemporaryFolder folder;
  const std::string text = many_numbers(5000);
  FileSourceSpec spec = numbers(folder.write("a.csv", text + "bad\n"));
  const auto whole = read_all(*make_file_source(spec), 1);
  spec.split_size = 1000;
  const auto split = read_all(*make_file_source(spec), 2);
  CHECK(split.failure == "");
  CHECK(split.splits.size() > 20);
  CHECK(split.rows == whole.rows);
  CHECK(whole.errors == std::vector<std::string>{"a.csv, line 5002: field \"n\": \"bad\" is not an int64"});
  CHECK(split.errors == std::vector<std::string>{"a.csv, byte " + std::to_string(text.size()) +
                                                 ": field \"n\": \"bad\" is not an int64"});
}

TEST_CASE("a CSV text of many lines that is too long is one error, and the rows behind it are read") {
  const TemporaryFolder folder;
  std::string text = "n,text\n1,a\n2,\"";
  while (text.size() < 3U << 20) text += "a line of the text, which is no row\nand \"\"quotes\"\" in it\n\n";
  text += "the end\"\n3,b\n4,\"c\nd\"\n";
  FileSourceSpec spec = numbers(folder.write("a.csv", text));
  spec.max_record_size = 1 << 20;
  const auto got = read_all(*make_file_source(spec));
  CHECK(got.failure == "");
  CHECK(got.rows == "{\"n\":1}\n{\"n\":3}\n{\"n\":4}\n");
  REQUIRE(got.errors.size() == 1);
  CHECK(got.errors[0].find("a.csv, line 3: the record is longer than max_record_size (1048576 bytes)") == 0);
  CHECK(got.errors[0].find("goes on at the next line that is a row by itself") != std::string::npos);
}

TEST_CASE("a quote too many in a CSV file costs its own row, where the record that it opens is too long") {
  const TemporaryFolder folder;
  std::string text = "n,text\n1,a\n2,\"b\n";
  std::string expected = "{\"n\":1}\n";
  for (int n = 3; text.size() < 3U << 20; ++n) {
    text += std::to_string(n) + ",text\n";
    expected += "{\"n\":" + std::to_string(n) + "}\n";
  }
  FileSourceSpec spec = numbers(folder.write("a.csv", text));
  spec.max_record_size = 1 << 20;
  const auto got = read_all(*make_file_source(spec));
  CHECK(got.failure == "");
  CHECK(got.rows == expected);
  REQUIRE(got.errors.size() == 1);
  CHECK(got.errors[0].find("a.csv, line 3: the record is longer") == 0);
}

TEST_CASE("a CSV record that is too long and whose lines are too may reach the end of the file") {
  const TemporaryFolder folder;
  const std::string line(2U << 20, 'x');
  FileSourceSpec spec = numbers(folder.write("a.csv", "n,text\n1,a\n2,\"" + line + "\n" + line + "\n" + line + "\n"));
  spec.max_record_size = 1 << 20;
  const auto got = read_all(*make_file_source(spec));
  CHECK(got.failure == "");
  CHECK(got.rows == "{\"n\":1}\n");
  CHECK(got.errors.size() == 1);
}

TEST_CASE("a record longer than max_record_size is malformed, and reading goes on behind its line") {
  const TemporaryFolder folder;
  const std::string line(3'000'000, '7');
  FileSourceSpec spec =
      numbers(folder.write("a.json", "{\"n\":1}\n{\"s\":\"" + line + "\"}\n{\"n\":2}\n"), TextFormat::json);
  CHECK(read_all(*make_file_source(spec)).rows == "{\"n\":1}\n{\"n\":null}\n{\"n\":2}\n");
  spec.max_record_size = 1 << 20;
  const auto got = read_all(*make_file_source(spec));
  CHECK(got.rows == "{\"n\":1}\n{\"n\":2}\n");
  REQUIRE(got.errors.size() == 1);
  CHECK(got.errors[0].find("a.json, line 2: the record is longer than max_record_size (1048576 bytes)") == 0);
}

TEST_CASE("a watched folder gives new files when they appear, and never ends") {
  const TemporaryFolder folder;
  FileSourceSpec spec = numbers(folder.path());
  spec.watch = Duration{1'000'000};
  const auto source = make_file_source(spec);
  CHECK_FALSE(source->bounded());
  const auto enumerator = source->create_enumerator();
  REQUIRE(enumerator->open(1));
  using Kind = SplitEnumerator::Next::Kind;
  auto next = enumerator->next(0, Timestamp{0});
  REQUIRE(next);
  CHECK(next->kind == Kind::wait);
  CHECK(next->until == Timestamp{1'000'000});
  folder.write("a.csv", "n\n1\n");
  CHECK(enumerator->next(0, Timestamp{500'000})->kind == Kind::wait);
  next = enumerator->next(0, Timestamp{1'000'000});
  CHECK(next->kind == Kind::split);
  CHECK(next->split.id == "a.csv");
  CHECK(enumerator->next(0, Timestamp{2'000'000})->kind == Kind::wait);
}

TEST_CASE("a reader gives no more rows at once than it is asked for") {
  const TemporaryFolder folder;
  const auto source = make_file_source(numbers(folder.write("a.csv", many_numbers(100))));
  CHECK(read_all(*source, 1, 7).rows == read_all(*source).rows);
}
