/* SHA-256 through OpenSSL's EVP, which uses the processor's SHA instructions: about 2 GB/s. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mae/base/sha256.h"

struct Sha256 {
  EVP_MD_CTX *context;
};

/* OpenSSL's digests fail only for want of a few hundred bytes or in a broken installation. A wrong
 * hash would be worse than no process, and no caller could do anything else. */
static void require(int ok) {
  if (ok) return;
  fputs("SHA-256: out of memory, or libcrypto is not usable\n", stderr);
  abort();
}

Sha256 *sha256_new(void) {
  Sha256 *hash = malloc(sizeof *hash);
  require(hash != NULL);
  hash->context = EVP_MD_CTX_new();
  require(hash->context != NULL);
  require(EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL));
  return hash;
}

void sha256_add(Sha256 *hash, const void *bytes, size_t size) {
  require(EVP_DigestUpdate(hash->context, bytes, size));
}

static void finish(EVP_MD_CTX *context, char hex[65]) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  require(EVP_DigestFinal_ex(context, digest, NULL));
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < 32; i++) {
    hex[2 * i] = digits[digest[i] >> 4];
    hex[2 * i + 1] = digits[digest[i] & 15];
  }
  hex[64] = 0;
  EVP_MD_CTX_free(context);
}

void sha256_so_far(const Sha256 *hash, char hex[65]) {
  EVP_MD_CTX *copy = EVP_MD_CTX_new();
  require(copy && EVP_MD_CTX_copy_ex(copy, hash->context));
  finish(copy, hex);
}

void sha256_finish(Sha256 *hash, char hex[65]) {
  finish(hash->context, hex);
  free(hash);
}

void sha256_bytes(char hex[65], const void *bytes, size_t size) {
  Sha256 *hash = sha256_new();
  sha256_add(hash, bytes, size);
  sha256_finish(hash, hex);
}

bool sha256_file(char hex[65], const char *path, Error *e) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return error_set(e, EXIT_DATA, "%s: %s", path, strerror(errno));
  enum { CHUNK = 1 << 16 };
  unsigned char chunk[CHUNK];
  Sha256 *hash = sha256_new();
  ssize_t got;
  while ((got = read(fd, chunk, CHUNK)) > 0 || (got < 0 && errno == EINTR))
    if (got > 0) sha256_add(hash, chunk, (size_t)got);
  int failure = errno;
  close(fd);
  sha256_finish(hash, hex);
  return got == 0 || error_set(e, EXIT_DATA, "%s: cannot read: %s", path, strerror(failure));
}
