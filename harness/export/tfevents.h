/* tfevents.h - the event files that TensorBoard reads: records framed with masked CRC-32C, each a
 * protocol buffer `Event`. Written here, for the few messages it takes; the fields' numbers are of
 * TensorBoard's event.proto, summary.proto and hparams/plugin_data.proto. */
#ifndef HARNESS_EXPORT_TFEVENTS_H
#define HARNESS_EXPORT_TFEVENTS_H

#include <stdint.h>
#include <stdio.h>

#include "mae/base/text.h"

/* CRC-32C (Castagnoli), and the form in which it stands in a record. */
uint32_t crc32c(const void *bytes, size_t size);
uint32_t crc32c_masked(const void *bytes, size_t size);

/* Fields of a protocol buffer, added to a text. */
void proto_int(Text *, int field, uint64_t value);
void proto_double(Text *, int field, double value);
void proto_float(Text *, int field, float value);
void proto_bytes(Text *, int field, const void *bytes, size_t size);
void proto_string(Text *, int field, const char *text);
/* A message within a message; it is freed. */
void proto_message(Text *, int field, Text *message);

/* A record: length and its check, bytes and theirs. */
void tfevents_record(FILE *, const Text *);
/* Events. The first of a file. */
void tfevents_version(FILE *, double time);
void tfevents_scalar(FILE *, double time, int64_t step, const char *tag, double value);
/* An encoded picture, such as a PNG. */
void tfevents_image(FILE *, double time, int64_t step, const char *tag, int width, int height,
                    const void *bytes, size_t size);
/* A message of a plugin; it is freed. */
void tfevents_plugin(FILE *, double time, const char *tag, const char *plugin, Text *message);

#endif
