#include "objects/sealing.h"

#include <fstream>

#include "base/error.h"
#include "objects/checksum.h"
#include "objects/descriptor.h"
#include <openssl/evp.h>
#include <openssl/rand.h>

namespace penstock::objects {

namespace {

constexpr size_t kBlock = 16;
constexpr size_t kGcmNonce = 12, kGcmTag = 16;

const unsigned char* raw(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* raw(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;
Context new_context() { return {EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free}; }

}  // namespace

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  CHECK_INVARIANT(RAND_bytes(raw(bytes), static_cast<int>(count)) == 1);
  return bytes;
}

std::string content_key(std::string_view object_key, std::string_view nonce) {
  return hmac_sha256(object_key, fmt::format("content\n{}", nonce));
}

void StreamCipher::Free::operator()(void* context) const { EVP_CIPHER_CTX_free(static_cast<EVP_CIPHER_CTX*>(context)); }

StreamCipher::StreamCipher(std::string_view content_key, uint64_t offset) : context_(EVP_CIPHER_CTX_new()) {
  CHECK_INVARIANT(content_key.size() == kKeySize);
  // The counter is the number of the block, big-endian.
  unsigned char counter[kBlock]{};
  uint64_t block = offset / kBlock;
  for (size_t i = kBlock; block != 0; block >>= 8) counter[--i] = static_cast<unsigned char>(block & 0xff);
  auto* context = static_cast<EVP_CIPHER_CTX*>(context_.get());
  CHECK_INVARIANT(EVP_EncryptInit_ex(context, EVP_aes_256_ctr(), nullptr, raw(content_key), counter) == 1);
  char skipped[kBlock]{};
  if (offset % kBlock != 0) apply(skipped, offset % kBlock);
}

void StreamCipher::apply(char* data, size_t size) {
  auto* context = static_cast<EVP_CIPHER_CTX*>(context_.get());
  auto* bytes = reinterpret_cast<unsigned char*>(data);
  while (size > 0) {
    const int step = static_cast<int>(std::min<size_t>(size, 1u << 30));
    int done = 0;
    CHECK_INVARIANT(EVP_EncryptUpdate(context, bytes, &done, bytes, step) == 1 && done == step);
    bytes += step;
    size -= static_cast<size_t>(step);
  }
}

std::string Vault::named_key(std::string_view name) {
  const std::lock_guard lock(mutex_);
  if (master_.empty()) {
    if (std::ifstream file(file_); file) {
      std::string line;
      std::getline(file, line);
      const auto key = unhex(line);
      if (!key || key->size() != kKeySize) {
        throw Error(Code::FailedPrecondition, fmt::format("{} does not hold a key of 64 hex digits", file_.string()));
      }
      master_ = *key;
    } else {
      const std::string key = random_bytes(kKeySize);
      write_secret(file_, hex(key) + "\n");
      master_ = key;
    }
  }
  return hmac_sha256(master_, fmt::format("wrap\n{}", name));
}

std::string Vault::wrap(std::string_view name, std::string_view key) {
  const std::string by = named_key(name), nonce = random_bytes(kGcmNonce);
  std::string sealed(key.size(), '\0'), tag(kGcmTag, '\0');
  const auto context = new_context();
  int done = 0;
  CHECK_INVARIANT(EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, raw(by), raw(nonce)) == 1);
  CHECK_INVARIANT(EVP_EncryptUpdate(context.get(), raw(sealed), &done, raw(key), static_cast<int>(key.size())) == 1);
  CHECK_INVARIANT(EVP_EncryptFinal_ex(context.get(), raw(sealed) + done, &done) == 1);
  CHECK_INVARIANT(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kGcmTag, tag.data()) == 1);
  return nonce + sealed + tag;
}

std::string Vault::unwrap(std::string_view name, std::string_view wrapped) {
  const auto wrong = [] {
    return Error(Code::DataLoss, "the key of an object was not wrapped by this server's master key");
  };
  if (wrapped.size() < kGcmNonce + kGcmTag) throw wrong();
  const std::string by = named_key(name);
  const auto sealed = wrapped.substr(kGcmNonce, wrapped.size() - kGcmNonce - kGcmTag);
  std::string key(sealed.size(), '\0'), tag(wrapped.substr(wrapped.size() - kGcmTag));
  const auto context = new_context();
  int done = 0;
  CHECK_INVARIANT(EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, raw(by), raw(wrapped)) == 1);
  CHECK_INVARIANT(EVP_DecryptUpdate(context.get(), raw(key), &done, raw(sealed), static_cast<int>(sealed.size())) == 1);
  CHECK_INVARIANT(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kGcmTag, tag.data()) == 1);
  if (EVP_DecryptFinal_ex(context.get(), raw(key) + done, &done) != 1) throw wrong();
  return key;
}

}  // namespace penstock::objects
