/* sha256.h - SHA-256 of bytes and of files, as 64 lower-case hex digits (OpenSSL's libcrypto). */
#ifndef MAE_BASE_SHA256_H
#define MAE_BASE_SHA256_H

#include <stddef.h>

#include "mae/base/error.h"

void sha256_bytes(char hex[65], const void *bytes, size_t size);
/* A file's content. */
bool sha256_file(char hex[65], const char *path, Error *);
/* Piece by piece. */
typedef struct Sha256 Sha256;
Sha256 *sha256_new(void);
void sha256_add(Sha256 *, const void *bytes, size_t size);
void sha256_so_far(const Sha256 *, char hex[65]); /* may be added to afterwards */
void sha256_finish(Sha256 *, char hex[65]);       /* frees */

#endif
