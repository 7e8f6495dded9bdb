#include "actors/exchange/certificates.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

namespace dataflow {

namespace {

template <class T, void (*free_it)(T*)>
struct Freed {
  void operator()(T* it) const { free_it(it); }
};
void free_bio(BIO* bio) {
  BIO_free(bio);
}
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Freed<X509, X509_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION, X509_EXTENSION_free>>;
using BioPtr = std::unique_ptr<BIO, Freed<BIO, free_bio>>;

constexpr long version_3 = 2;  // counted from 0

tl::unexpected<Error> openssl_failed(const std::string& what) {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return fail(ErrorCode::io, what + (reason == nullptr ? "" : std::string{": "} + reason));
}

/// Twenty random bytes, of which the first bit is 0: positive, and never given twice.
bool set_random_serial(X509* certificate) {
  std::array<unsigned char, 20> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7fU) | 0x40U);
  const std::unique_ptr<BIGNUM, Freed<BIGNUM, BN_free>> number{
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr)};
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension{X509V3_EXT_nconf_nid(nullptr, &context, nid, value.c_str())};
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

/// A certificate with everything but extensions and signature.
CertificatePtr begin_certificate(const std::string& name, EVP_PKEY* key, const Validity& validity) {
  CertificatePtr certificate{X509_new()};
  if (!certificate || X509_set_version(certificate.get(), version_3) != 1 || !set_random_serial(certificate.get()) ||
      X509_set_pubkey(certificate.get(), key) != 1) {
    return nullptr;
  }
  const auto set_time = [](ASN1_TIME* to, std::chrono::system_clock::time_point time) {
    return ASN1_TIME_set(to, std::chrono::system_clock::to_time_t(time)) != nullptr;
  };
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const bool good = set_time(X509_getm_notBefore(certificate.get()), validity.from) &&
                    set_time(X509_getm_notAfter(certificate.get()), validity.until) &&
                    X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                               reinterpret_cast<const unsigned char*>(name.data()),
                                               static_cast<int>(name.size()), -1, 0) == 1;
  return good ? std::move(certificate) : nullptr;
}

/// Writes what `print` puts out to a new file that only its owner may read.
template <class Print>
Status write_new_file(const std::filesystem::path& path, const Print& print) {
  const BioPtr memory{BIO_new(BIO_s_mem())};
  if (!memory || print(memory.get()) != 1) return openssl_failed("cannot write " + path.string());
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    return fail(errno == EEXIST ? ErrorCode::invalid_argument : ErrorCode::io,
                "cannot make " + path.string() + ": " + std::strerror(errno));
  }
  const bool written = ::write(fd, text, static_cast<std::size_t>(size)) == size && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  if (written) return {};
  unlink(path.c_str());
  return fail(ErrorCode::io, "cannot write " + path.string() + ": " + std::strerror(error));
}

Status write_files(const CertificateFiles& files, X509* certificate, EVP_PKEY* key) {
  for (const auto& file : {files.certificate, files.key}) {
    if (std::filesystem::exists(file)) {
      return fail(ErrorCode::invalid_argument, file.string() + " is there already; it is not made anew");
    }
  }
  if (auto status = write_new_file(
          files.key,
          [&](BIO* out) { return PEM_write_bio_PKCS8PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); });
      !status) {
    return status;
  }
  auto status = write_new_file(files.certificate, [&](BIO* out) { return PEM_write_bio_X509(out, certificate); });
  if (!status) std::filesystem::remove(files.key);
  return status;
}

/// The subject's alternative names as OpenSSL's configuration has them; what could end a name is not let in.
Result<std::string> alternative_names(const std::vector<std::string>& hosts) {
  std::string names;
  for (const std::string& host : hosts) {
    std::array<unsigned char, sizeof(in6_addr)> address{};
    const bool is_address =
        inet_pton(AF_INET, host.c_str(), address.data()) == 1 || inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
    const bool is_name = !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
             c == '*' || c == '_';
    });
    if (!is_address && !is_name) {
      return fail(ErrorCode::invalid_argument, "\"" + host + "\" is neither a host's name nor an address");
    }
    names += (names.empty() ? "" : ",") + std::string{is_address ? "IP:" : "DNS:"} + host;
  }
  if (names.empty()) return fail(ErrorCode::invalid_argument, "a certificate is for at least one host");
  return names;
}

Result<std::pair<CertificatePtr, KeyPtr>> read_authority(const CertificateFiles& files) {
  const BioPtr certificate_file{BIO_new_file(files.certificate.c_str(), "r")};
  CertificatePtr certificate{certificate_file ? PEM_read_bio_X509(certificate_file.get(), nullptr, nullptr, nullptr)
                                              : nullptr};
  if (!certificate) return openssl_failed("cannot read " + files.certificate.string());
  const BioPtr key_file{BIO_new_file(files.key.c_str(), "r")};
  KeyPtr key{key_file ? PEM_read_bio_PrivateKey(key_file.get(), nullptr, nullptr, nullptr) : nullptr};
  if (!key) return openssl_failed("cannot read " + files.key.string());
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return openssl_failed(files.key.string() + " is not the key of " + files.certificate.string());
  }
  return std::pair{std::move(certificate), std::move(key)};
}

}  // namespace

CertificateFiles authority_files(const std::filesystem::path& folder) {
  return node_files(folder, "ca");
}

CertificateFiles node_files(const std::filesystem::path& folder, const std::string& node) {
  return {folder / (node + ".pem"), folder / (node + "-key.pem")};
}

Status make_authority(const CertificateFiles& files, const std::string& name, const Validity& validity) {
  const KeyPtr key{EVP_EC_gen("P-256")};
  if (!key) return openssl_failed("cannot make a key");
  const CertificatePtr made = begin_certificate(name, key.get(), validity);
  X509* certificate = made.get();
  const bool good = certificate != nullptr &&
                    X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1 &&
                    add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                    add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                    add_extension(certificate, certificate, NID_subject_key_identifier, "hash") &&
                    X509_sign(certificate, key.get(), EVP_sha256()) > 0;
  if (!good) return openssl_failed("cannot make the authority's certificate");
  return write_files(files, certificate, key.get());
}

Status make_node_certificate(const CertificateFiles& files, const CertificateFiles& authority, const std::string& name,
                             const std::vector<std::string>& hosts, const Validity& validity) {
  const auto names = alternative_names(hosts);
  if (!names) return fail(names.error());
  const auto issuer = read_authority(authority);
  if (!issuer) return fail(issuer.error());
  const auto& [issuer_certificate, issuer_key] = *issuer;
  const KeyPtr key{EVP_EC_gen("P-256")};
  if (!key) return openssl_failed("cannot make a key");
  const CertificatePtr made = begin_certificate(name, key.get(), validity);
  X509* certificate = made.get();
  X509* ca = issuer_certificate.get();
  const bool good = certificate != nullptr && X509_set_issuer_name(certificate, X509_get_subject_name(ca)) == 1 &&
                    add_extension(certificate, ca, NID_basic_constraints, "critical,CA:FALSE") &&
                    add_extension(certificate, ca, NID_key_usage, "critical,digitalSignature") &&
                    add_extension(certificate, ca, NID_ext_key_usage, "serverAuth,clientAuth") &&
                    add_extension(certificate, ca, NID_subject_key_identifier, "hash") &&
                    add_extension(certificate, ca, NID_authority_key_identifier, "keyid:always") &&
                    add_extension(certificate, ca, NID_subject_alt_name, *names) &&
                    X509_sign(certificate, issuer_key.get(), EVP_sha256()) > 0;
  if (!good) return openssl_failed("cannot make the certificate of " + name);
  return write_files(files, certificate, key.get());
}

}  // namespace dataflow
