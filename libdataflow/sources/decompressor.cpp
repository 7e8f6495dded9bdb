#include "libdataflow/sources/decompressor.hpp"

#include <zlib.h>
#include <zstd.h>
#include <vector>

namespace dataflow {

namespace {

constexpr std::size_t input_bytes = 128 * 1024;

/// The compressed bytes that are not used yet.
class Input {
 public:
  explicit Input(std::unique_ptr<ByteStream> stream) : stream_{std::move(stream)}, bytes_(input_bytes) {}

  /// Reads more when everything is used. At the end `ended()` is true and `size()` 0.
  Status fill() {
    if (at_ < size_ || ended_) return {};
    at_ = size_ = 0;
    const Result<ByteStream::Read> got = stream_->read(bytes_.data(), bytes_.size());
    if (!got) return fail(got.error());
    size_ = got->bytes;
    ended_ = got->end;
    return {};
  }
  [[nodiscard]] const char* data() const { return bytes_.data() + at_; }
  [[nodiscard]] std::size_t size() const { return size_ - at_; }
  [[nodiscard]] bool ended() const { return ended_; }
  void use(std::size_t bytes) { at_ += bytes; }

 private:
  std::unique_ptr<ByteStream> stream_;
  std::vector<char> bytes_;
  std::size_t at_ = 0;
  std::size_t size_ = 0;
  bool ended_ = false;
};

tl::unexpected<Error> cut_off(const char* format) {
  return fail(ErrorCode::malformed_data, std::string{"the "} + format + " data is cut off in the middle");
}

class GzipStream final : public ByteStream {
 public:
  explicit GzipStream(std::unique_ptr<ByteStream> compressed) : input_{std::move(compressed)} {
    // 15: the largest window; 16: a gzip header is required.
    ready_ = inflateInit2(&inflater_, 15 + 16) == Z_OK;
  }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;
  ~GzipStream() override { inflateEnd(&inflater_); }

  Result<Read> read(char* into, std::size_t capacity) override {
    if (!ready_) return fail(ErrorCode::io, "zlib has no memory");
    for (;;) {
      if (Status filled = input_.fill(); !filled) return fail(filled.error());
      if (input_.size() == 0) {
        if (!input_.ended()) return Read{};
        // An empty file is no gzip data, but no records either.
        if (in_member_) return cut_off("gzip");
        return Read{0, true};
      }
      in_member_ = true;
      inflater_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input_.data()));
      inflater_.avail_in = static_cast<uInt>(input_.size());
      inflater_.next_out = reinterpret_cast<Bytef*>(into);
      inflater_.avail_out = static_cast<uInt>(std::min<std::size_t>(capacity, UINT32_MAX));
      const uInt room = inflater_.avail_out;
      const int result = inflate(&inflater_, Z_NO_FLUSH);
      input_.use(input_.size() - inflater_.avail_in);
      if (result == Z_STREAM_END) {
        in_member_ = false;
        inflateReset(&inflater_);
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return fail(ErrorCode::malformed_data,
                    std::string{"the gzip data is damaged: "} + (inflater_.msg != nullptr ? inflater_.msg : "?"));
      }
      if (const std::size_t made = room - inflater_.avail_out; made > 0) return Read{made, false};
    }
  }

 private:
  Input input_;
  z_stream inflater_{};
  bool ready_ = false;
  bool in_member_ = false;
};

class ZstdStream final : public ByteStream {
 public:
  explicit ZstdStream(std::unique_ptr<ByteStream> compressed)
      : input_{std::move(compressed)}, context_{ZSTD_createDCtx(), &ZSTD_freeDCtx} {}

  Result<Read> read(char* into, std::size_t capacity) override {
    if (context_ == nullptr) return fail(ErrorCode::io, "zstd has no memory");
    for (;;) {
      if (Status filled = input_.fill(); !filled) return fail(filled.error());
      if (input_.size() == 0 && !pending_output_) {
        if (!input_.ended()) return Read{};
        if (in_frame_) return cut_off("zstd");
        return Read{0, true};
      }
      ZSTD_inBuffer in{input_.data(), input_.size(), 0};
      ZSTD_outBuffer out{into, capacity, 0};
      const std::size_t hint = ZSTD_decompressStream(context_.get(), &out, &in);
      if (ZSTD_isError(hint) != 0) {
        return fail(ErrorCode::malformed_data, std::string{"the zstd data is damaged: "} + ZSTD_getErrorName(hint));
      }
      input_.use(in.pos);
      in_frame_ = hint != 0;
      // A full output may leave more in the decoder's own buffer.
      pending_output_ = out.pos == capacity && in_frame_;
      if (out.pos > 0) return Read{out.pos, false};
    }
  }

 private:
  Input input_;
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
  bool in_frame_ = false;
  bool pending_output_ = false;
};

}  // namespace

std::unique_ptr<ByteStream> gunzip(std::unique_ptr<ByteStream> compressed) {
  return std::make_unique<GzipStream>(std::move(compressed));
}

std::unique_ptr<ByteStream> unzstd(std::unique_ptr<ByteStream> compressed) {
  return std::make_unique<ZstdStream>(std::move(compressed));
}

}  // namespace dataflow
