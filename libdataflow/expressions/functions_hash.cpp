#include <openssl/evp.h>

#include "libdataflow/expressions/registry.hpp"
#include "libdataflow/expressions/rowwise.hpp"
#include "serialization/key_hash.hpp"

namespace dataflow::expr {

namespace {

using Text = std::string_view;

/// The engine's frozen key hash, so that it agrees with how keys are spread. NULLs have a hash of their own.
ColumnPtr hash(KernelCall& call) {
  std::vector<ColumnPtr> columns;
  std::vector<const Column*> keys;
  for (const Vector& argument : call.arguments) {
    columns.push_back(materialise(argument, call.rows));
    keys.push_back(columns.back().get());
  }
  std::vector<std::uint64_t> hashes;
  hash_rows(keys, call.rows, hashes);
  GrowingBuffer out;
  out.append(hashes.data(), call.rows * sizeof(std::uint64_t));
  return call.finish(std::move(out), {});
}

/// Which of OpenSSL's digests; a function, as the digest objects have no constant addresses.
using Digest = const EVP_MD* (*)();

template <Digest Algorithm>
void hex_digest(TextResult& out, Text text) {
  static constexpr char digits[] = "0123456789abcdef";
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned count = 0;
  if (EVP_Digest(text.data(), text.size(), bytes, &count, Algorithm(), nullptr) != 1) {
    return out.fail("OpenSSL cannot compute this digest");
  }
  for (unsigned i = 0; i < count; ++i) {
    out.append(digits[bytes[i] >> 4]);
    out.append(digits[bytes[i] & 15]);
  }
}

template <Digest Algorithm>
Function digest(std::string name, std::string help, std::string example) {
  const Kernel kernel = text_rows<Text>(hex_digest<Algorithm>);
  return {std::move(name),
          "hash",
          std::move(help),
          std::move(example),
          {{{{"s", Accepts::string}}, Kind::string, always(kernel)},
           {{{"b", Accepts::bytes}}, Kind::string, always(kernel)}}};
}

}  // namespace

void add_hash_functions(std::vector<Function>& table) {
  table.push_back(
      {"hash",
       "hash",
       "A 64-bit hash of the values, the same on every machine and in every version; NULLs count as a value.",
       "hash('a', 1) = hash('a', 1)",
       {{{{"x", Accepts::any}}, Kind::int64, always(hash), 0, true, Nulls::seen}}});
  table.push_back(digest<EVP_md5>("md5", "The MD5 digest in hexadecimal digits. Not for secrets.",
                                  "md5('a') = '0cc175b9c0f1b6a831c399e269772661'"));
  table.push_back(digest<EVP_sha256>("sha256", "The SHA-256 digest in hexadecimal digits.",
                                     "starts_with(sha256('a'), 'ca978112')"));
}

}  // namespace dataflow::expr
