#pragma once
// A byte stream and a decoder joined into batches: what the file and stdin sources read with. Holds the window of
// bytes that the decoder works on, knows at which line (or byte) it stands, and bounds a record's size.

#include <cstdint>
#include <memory>
#include <string>

#include "libdataflow/formats/record_decoder.hpp"
#include "libdataflow/sources/byte_stream.hpp"
#include "libdataflow/sources/source.hpp"

namespace dataflow {

/// A longer record is malformed. What is skipped with it is the rest of its line and, where lines may be the middle of
/// a record, the lines behind it up to one that is a row by itself: it may have been a long text with many lines, or a
/// quote too many, and neither may make an error of every line behind it.
inline constexpr std::uint64_t default_max_record_size = 64ULL << 20;

class RecordReader {
 public:
  struct Options {
    std::string name;  ///< of the data, for positions: "readings.csv"
    std::uint64_t max_record_size = default_max_record_size;
    /// Where the stream begins in the data. Beyond 0, lines are not known and positions are bytes.
    std::uint64_t first_byte = 0;
    std::size_t read_size = 256 * 1024;  ///< bytes asked of the stream at once
  };

  enum class Step : std::uint8_t {
    more,     ///< there may be more records at once
    waiting,  ///< the stream has nothing at present
    end,      ///< all records have been given
  };

  RecordReader(std::unique_ptr<ByteStream> stream, std::unique_ptr<RecordDecoder> decoder, Options options);

  /// Takes the start of the data (byte order mark, header) from another stream that begins with it: for a split of
  /// a file but its first. Errors: of `head`, and as RecordDecoder::start, with the name.
  Status start_from(ByteStream& head);

  /// What is being skipped of a record that is too long; the numbers are written into positions.
  enum class Skipping : std::uint8_t { nothing = 0, line = 1, to_row = 2 };
  /// Where the next record begins, for a reader that goes on later.
  struct Mark {
    std::uint64_t bytes = 0;  ///< of the stream that have been consumed
    std::uint64_t lines = 0;
    Skipping skipping = Skipping::nothing;
  };
  [[nodiscard]] Mark mark() const { return {consumed_, lines_, skipping_}; }
  /// Before the first poll: the stream begins at the mark. With start_from when the mark is beyond the header.
  void start_at(const Mark& mark) {
    consumed_ = mark.bytes;
    lines_ = mark.lines;
    skipping_ = mark.skipping;
  }

  /// Gives at most one batch to `out`, or reads once. Errors: of the stream and of the header, with the name.
  Result<Step> poll(SourceOutput& out, std::string_view split);

  /// "readings.csv, line 17" of the next record, or "readings.csv, byte 1048999".
  [[nodiscard]] std::string position() const { return position_at(0); }
  /// Of a row of the batch that is being given; as SourceReader has it.
  RecordPlace place_of(std::uint32_t row);

 private:
  [[nodiscard]] std::string_view window() const { return {buffer_.get() + begin_, end_ - begin_}; }
  [[nodiscard]] std::string position_at(std::size_t offset) const;
  Result<bool> start();
  [[nodiscard]] Error endless_header() const;
  Result<ByteStream::Read> refill();
  bool give(SourceOutput& out, std::string_view split);
  void advance(std::size_t bytes);
  void give_up_record(SourceOutput& out);
  void skip();
  void skip_line();
  /// Skips whole lines until one is a row by itself.
  void skip_to_row();
  void grow(std::size_t capacity);

  std::unique_ptr<ByteStream> stream_;
  std::unique_ptr<RecordDecoder> decoder_;
  Options options_;
  std::unique_ptr<char[]> buffer_;  ///< capacity_ + 1 for a last newline + decode_padding
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;  ///< the window within the buffer
  std::size_t end_ = 0;
  std::uint64_t consumed_ = 0;  ///< bytes of the stream before the window
  std::uint64_t lines_ = 0;     ///< newlines before the window
  std::size_t wanted_;          ///< bytes in the window before it is decoded, unless no more come
  bool started_ = false;
  bool ended_ = false;  ///< the stream has
  Skipping skipping_ = Skipping::nothing;
  // Of the batch that is being given, the record that place_of has come to.
  std::uint32_t place_row_ = 0;
  std::size_t place_offset_ = 0;
};

}  // namespace dataflow
