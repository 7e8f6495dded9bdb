#include "libdataflow/sources/record_reader.hpp"

#include <algorithm>
#include <cstring>

#include "libdataflow/formats/field_text.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace dataflow {

namespace {

/// A malformed record's raw bytes are cut to this.
constexpr std::size_t most_raw_bytes = 1 << 20;

#if defined(__SSE2__)
std::size_t count_newlines(const char* at, std::size_t size) {
  std::size_t count = 0;
  const __m128i newline = _mm_set1_epi8('\n');
  while (size >= 16) {
    // Each of the 16 bytes counts its own newlines, at most 255 of them.
    const std::size_t steps = std::min<std::size_t>(size / 16, 255);
    __m128i counts = _mm_setzero_si128();
    for (std::size_t i = 0; i < steps; ++i, at += 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
      counts = _mm_sub_epi8(counts, _mm_cmpeq_epi8(bytes, newline));
    }
    size -= 16 * steps;
    const __m128i sums = _mm_sad_epu8(counts, _mm_setzero_si128());
    count += static_cast<std::size_t>(_mm_cvtsi128_si64(sums)) +
             static_cast<std::size_t>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(sums, sums)));
  }
  return count + static_cast<std::size_t>(std::count(at, at + size, '\n'));
}
#else
std::size_t count_newlines(const char* at, std::size_t size) {
  return static_cast<std::size_t>(std::count(at, at + size, '\n'));
}
#endif

}  // namespace

RecordReader::RecordReader(std::unique_ptr<ByteStream> stream, std::unique_ptr<RecordDecoder> decoder, Options options)
    : stream_{std::move(stream)},
      decoder_{std::move(decoder)},
      options_{std::move(options)},
      wanted_{options_.read_size} {
  // Room for what poll keeps in the window, and one read on top.
  grow(2 * options_.read_size);
}

Status RecordReader::start_from(ByteStream& head) {
  std::string bytes;
  for (bool ended = false; !started_;) {
    const std::size_t size = bytes.size();
    if (size > options_.max_record_size) return fail(endless_header());
    bytes.resize(size + options_.read_size);
    const Result<ByteStream::Read> got = head.read(bytes.data() + size, options_.read_size);
    if (!got) return fail(got.error().within(options_.name));
    bytes.resize(size + got->bytes);
    ended = got->end;
    if (ended && !bytes.ends_with('\n')) bytes += '\n';
    const Result<std::optional<std::size_t>> took = decoder_->start(bytes, ended);
    if (!took) return fail(took.error().within(options_.name));
    started_ = took->has_value();
  }
  return {};
}

Error RecordReader::endless_header() const {
  return Error{ErrorCode::malformed_data, options_.name + ": the header is longer than max_record_size (" +
                                              std::to_string(options_.max_record_size) +
                                              " bytes): is this CSV with a header?"};
}

Result<bool> RecordReader::start() {
  const Result<std::optional<std::size_t>> took = decoder_->start(window(), ended_);
  if (!took) return fail(took.error().within(options_.name));
  if (!*took) return false;
  advance(**took);
  started_ = true;
  return true;
}

Result<RecordReader::Step> RecordReader::poll(SourceOutput& out, std::string_view split) {
  bool waiting = false;
  if (!ended_ && end_ - begin_ < wanted_) {
    // Less than a read is left: first read on, so that batches do not end where reads do.
    do {
      const Result<ByteStream::Read> got = refill();
      if (!got) return fail(got.error().within(position()));
      waiting = got->bytes == 0 && !got->end;
    } while (!ended_ && !waiting && end_ - begin_ < options_.read_size);
    if (!ended_ && !waiting && end_ - begin_ < wanted_) return Step::more;
  }
  if (skipping_ != Skipping::nothing) {
    skip();
    if (skipping_ != Skipping::nothing) return waiting ? Step::waiting : Step::more;
    if (ended_ && begin_ == end_) return Step::end;
  }
  if (!started_) {
    const Result<bool> started = start();
    if (!started) return fail(started.error());
  }
  if (started_ && give(out, split)) {
    wanted_ = options_.read_size;
    return Step::more;
  }
  if (ended_ && begin_ == end_) return Step::end;
  // What is left is the beginning of a record, or of the header.
  const std::size_t left = end_ - begin_;
  if (left >= options_.max_record_size) {
    if (!started_) return fail(endless_header());
    give_up_record(out);
    wanted_ = options_.read_size;
    return Step::more;
  }
  // It is looked at again when it has doubled, so that a long record is not scanned over and over.
  wanted_ = std::max(options_.read_size, std::min<std::size_t>(2 * left, options_.max_record_size));
  return waiting ? Step::waiting : Step::more;
}

/// Decodes one batch; false when the window holds no whole record.
bool RecordReader::give(SourceOutput& out, std::string_view split) {
  if (begin_ == end_) return false;
  const DecodedRecords decoded = decoder_->decode(window(), ended_, std::max<std::uint32_t>(out.batch_rows(), 1));
  if (decoded.consumed == 0) return false;
  place_row_ = 0;
  place_offset_ = 0;
  if (decoded.batch) out.emit(decoded.batch, split);
  for (const MalformedRecord& bad : decoded.malformed) {
    out.malformed(bad.raw.substr(0, most_raw_bytes), bad.error, position_at(bad.offset));
  }
  advance(decoded.consumed);
  return true;
}

/// Decodes the records of the batch once more, one at a time, up to that row.
RecordPlace RecordReader::place_of(std::uint32_t row) {
  while (place_offset_ < window().size()) {
    const std::string_view rest = window().substr(place_offset_);
    const DecodedRecords one = decoder_->decode(rest, ended_, 1);
    if (one.consumed == 0) break;
    const std::size_t offset = place_offset_;
    place_offset_ += one.consumed;
    if (!one.batch || place_row_++ < row) continue;
    // Blank lines before it are no part of it.
    std::string_view record = rest.substr(0, one.consumed);
    const std::size_t blank = std::min(record.find_first_not_of("\r\n"), record.size());
    record.remove_prefix(blank);
    record.remove_suffix(record.ends_with('\n') ? 1 : 0);
    record = text::without_return(record).substr(0, most_raw_bytes);
    return {position_at(offset + blank), std::string{record}};
  }
  return {position()};
}

Result<ByteStream::Read> RecordReader::refill() {
  if (begin_ > 0 && capacity_ - end_ < options_.read_size) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  // A record longer than the buffer: doubling keeps the rescans of its beginning linear in its size.
  if (capacity_ - end_ < options_.read_size) {
    grow(std::min<std::size_t>(2 * capacity_, capacity_ + options_.max_record_size));
  }
  Result<ByteStream::Read> got = stream_->read(buffer_.get() + end_, capacity_ - end_);
  if (!got) return got;
  end_ += got->bytes;
  if (got->end) {
    ended_ = true;
    // The last record may lack its newline; decoders need not know.
    if (end_ > begin_ && buffer_[end_ - 1] != '\n') buffer_[end_++] = '\n';
  }
  return got;
}

void RecordReader::grow(std::size_t capacity) {
  std::unique_ptr<char[]> larger{new char[capacity + 1 + decode_padding]};
  if (end_ > begin_) std::memcpy(larger.get(), buffer_.get() + begin_, end_ - begin_);
  // Decoders may read the padding but never use it; it is set once to keep memory checkers quiet.
  std::memset(larger.get() + capacity, 0, 1 + decode_padding);
  end_ -= begin_;
  begin_ = 0;
  buffer_ = std::move(larger);
  capacity_ = capacity;
}

void RecordReader::advance(std::size_t bytes) {
  if (options_.first_byte == 0) lines_ += count_newlines(buffer_.get() + begin_, bytes);
  consumed_ += bytes;
  begin_ += bytes;
}

void RecordReader::give_up_record(SourceOutput& out) {
  out.malformed(
      window().substr(0, most_raw_bytes),
      "the record is longer than max_record_size (" + std::to_string(options_.max_record_size) +
          " bytes); raise max_record_size, or look for a quote that is never closed" +
          (decoder_->records_span_lines() ? "; reading goes on at the next line that is a row by itself" : ""),
      position());
  skipping_ = Skipping::line;
  skip();
}

void RecordReader::skip() {
  if (skipping_ == Skipping::line) skip_line();
  if (skipping_ == Skipping::to_row) skip_to_row();
}

void RecordReader::skip_line() {
  const std::size_t newline = window().find('\n');
  if (newline == std::string_view::npos) return advance(end_ - begin_);
  advance(newline + 1);
  skipping_ = decoder_->records_span_lines() ? Skipping::to_row : Skipping::nothing;
  wanted_ = options_.read_size;
}

void RecordReader::skip_to_row() {
  while (begin_ != end_) {
    const std::size_t newline = window().find('\n');
    if (newline == std::string_view::npos) {
      const std::size_t left = end_ - begin_;
      if (left >= options_.max_record_size) {
        skipping_ = Skipping::line;
        advance(left);
      }
      wanted_ = std::max(options_.read_size, std::min<std::size_t>(2 * left, options_.max_record_size));
      return;
    }
    const std::string_view line = window().substr(0, newline + 1);
    const DecodedRecords decoded = decoder_->decode(line, false, 1);
    if (decoded.batch && decoded.consumed == line.size()) {
      skipping_ = Skipping::nothing;
      return;
    }
    advance(line.size());
  }
  if (ended_) skipping_ = Skipping::nothing;
}

std::string RecordReader::position_at(std::size_t offset) const {
  if (options_.first_byte != 0) {
    return options_.name + ", byte " + std::to_string(options_.first_byte + consumed_ + offset);
  }
  const std::uint64_t line = lines_ + count_newlines(buffer_.get() + begin_, offset) + 1;
  return options_.name + ", line " + std::to_string(line);
}

}  // namespace dataflow
