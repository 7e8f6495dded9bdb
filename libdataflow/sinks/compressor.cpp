// gzip by zlib, zstd by libzstd, each as a stream over one file.

#include <zlib.h>
#include <zstd.h>
#include <algorithm>

#include "libdataflow/sinks/part_file.hpp"

namespace dataflow {

namespace {

constexpr std::size_t step_bytes = 64 * 1024;

class GzipCompressor final : public Compressor {
 public:
  GzipCompressor() {
    // 15: the largest window; 16: with a gzip header.
    ready_ = deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  GzipCompressor(const GzipCompressor&) = delete;
  GzipCompressor& operator=(const GzipCompressor&) = delete;
  ~GzipCompressor() override { deflateEnd(&stream_); }

  Status compress(std::string_view text, bool last, std::string& out) override {
    if (!ready_) return fail(ErrorCode::io, "zlib has no memory");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream_.avail_in = static_cast<uInt>(text.size());
    int result = Z_OK;
    do {
      const std::size_t before = out.size();
      out.resize(before + step_bytes);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
      stream_.avail_out = step_bytes;
      result = deflate(&stream_, last ? Z_FINISH : Z_NO_FLUSH);
      out.resize(before + step_bytes - stream_.avail_out);
    } while (stream_.avail_out == 0 || (last && result == Z_OK));
    return {};
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
};

class ZstdCompressor final : public Compressor {
 public:
  Status compress(std::string_view text, bool last, std::string& out) override {
    if (context_ == nullptr) return fail(ErrorCode::io, "zstd has no memory");
    ZSTD_inBuffer in{text.data(), text.size(), 0};
    for (bool more = true; more;) {
      const std::size_t before = out.size();
      out.resize(before + step_bytes);
      ZSTD_outBuffer part{out.data() + before, step_bytes, 0};
      const std::size_t left = ZSTD_compressStream2(context_.get(), &part, &in, last ? ZSTD_e_end : ZSTD_e_continue);
      out.resize(before + part.pos);
      if (ZSTD_isError(left) != 0) return fail(ErrorCode::io, std::string{"zstd: "} + ZSTD_getErrorName(left));
      more = last ? left != 0 : in.pos < in.size;
    }
    return {};
  }

 private:
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context_{ZSTD_createCCtx(), &ZSTD_freeCCtx};
};

}  // namespace

std::unique_ptr<Compressor> make_compressor(OutputCompression compression) {
  switch (compression) {
    case OutputCompression::none: return nullptr;
    case OutputCompression::gzip: return std::make_unique<GzipCompressor>();
    case OutputCompression::zstd: return std::make_unique<ZstdCompressor>();
  }
  return nullptr;
}

}  // namespace dataflow
