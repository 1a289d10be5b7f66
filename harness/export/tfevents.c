/* tfevents.c - CRC-32C, protocol buffers, records. */
#include "harness/export/tfevents.h"

#include <string.h>

#include "harness/base/strings.h"

/* Checks ---------------------------------------------------------------------------------------*/

uint32_t crc32c(const void *bytes, size_t size) {
  static uint32_t table[256];
  const unsigned char *at = bytes;
  if (!table[1])
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; bit++) c = (c >> 1) ^ (c & 1 ? 0x82f63b78u : 0);
      table[i] = c;
    }
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < size; i++) crc = table[(crc ^ at[i]) & 0xff] ^ (crc >> 8);
  return ~crc;
}

uint32_t crc32c_masked(const void *bytes, size_t size) {
  uint32_t crc = crc32c(bytes, size);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* Protocol buffers -----------------------------------------------------------------------------*/

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static void varint(Text *out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) text_add(out, &(char){(char)((value & 0x7f) | 0x80)}, 1);
  text_add(out, &(char){(char)value}, 1);
}

static void key(Text *out, int field, int wire) {
  varint(out, (uint64_t)field << 3 | (uint64_t)wire);
}

/* The lowest byte first, whatever this machine's order is. */
static void little(char *out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) out[i] = (char)(value >> 8 * i & 0xff);
}

void proto_int(Text *out, int field, uint64_t value) {
  key(out, field, WIRE_VARINT);
  varint(out, value);
}

void proto_double(Text *out, int field, double value) {
  uint64_t bits;
  char bytes[8];
  memcpy(&bits, &value, sizeof bits);
  little(bytes, bits, 8);
  key(out, field, WIRE_64);
  text_add(out, bytes, 8);
}

void proto_float(Text *out, int field, float value) {
  uint32_t bits;
  char bytes[4];
  memcpy(&bits, &value, sizeof bits);
  little(bytes, bits, 4);
  key(out, field, WIRE_32);
  text_add(out, bytes, 4);
}

void proto_bytes(Text *out, int field, const void *bytes, size_t size) {
  key(out, field, WIRE_BYTES);
  varint(out, size);
  text_add(out, bytes, size);
}

void proto_string(Text *out, int field, const char *text) {
  proto_bytes(out, field, text, strlen(text));
}

void proto_message(Text *out, int field, Text *message) {
  proto_bytes(out, field, message->length ? message->bytes : "", message->length);
  out->failed |= message->failed;
  text_free(message);
}

/* Records and events ---------------------------------------------------------------------------*/

void tfevents_record(FILE *out, const Text *data) {
  char head[12], tail[4];
  need(data->failed ? NULL : out);
  little(head, data->length, 8);
  little(head + 8, crc32c_masked(head, 8), 4);
  little(tail, crc32c_masked(data->bytes, data->length), 4);
  fwrite(head, 1, sizeof head, out);
  fwrite(data->bytes, 1, data->length, out);
  fwrite(tail, 1, sizeof tail, out);
}

enum { EVENT_TIME = 1, EVENT_STEP = 2, EVENT_VERSION = 3, EVENT_SUMMARY = 5 };
enum { VALUE_TAG = 1, VALUE_SIMPLE = 2, VALUE_IMAGE = 4, VALUE_TENSOR = 8, VALUE_METADATA = 9 };

/* An event with one value, which is freed. */
static void write_value(FILE *out, double time, int64_t step, Text *value) {
  Text event = {0}, summary = {0};
  proto_message(&summary, 1, value);
  proto_double(&event, EVENT_TIME, time);
  proto_int(&event, EVENT_STEP, (uint64_t)step);
  proto_message(&event, EVENT_SUMMARY, &summary);
  tfevents_record(out, &event);
  text_free(&event);
}

void tfevents_version(FILE *out, double time) {
  Text event = {0};
  proto_double(&event, EVENT_TIME, time);
  proto_string(&event, EVENT_VERSION, "brain.Event:2");
  tfevents_record(out, &event);
  text_free(&event);
}

void tfevents_scalar(FILE *out, double time, int64_t step, const char *tag, double value) {
  Text scalar = {0};
  proto_string(&scalar, VALUE_TAG, tag);
  proto_float(&scalar, VALUE_SIMPLE, (float)value);
  write_value(out, time, step, &scalar);
}

void tfevents_image(FILE *out, double time, int64_t step, const char *tag, int width, int height,
                    const void *bytes, size_t size) {
  Text value = {0}, image = {0};
  proto_int(&image, 1, (uint64_t)height);
  proto_int(&image, 2, (uint64_t)width);
  proto_int(&image, 3, 3); /* RGB */
  proto_bytes(&image, 4, bytes, size);
  proto_string(&value, VALUE_TAG, tag);
  proto_message(&value, VALUE_IMAGE, &image);
  write_value(out, time, step, &value);
}

void tfevents_plugin(FILE *out, double time, const char *tag, const char *plugin, Text *message) {
  Text value = {0}, metadata = {0}, data = {0}, tensor = {0}, shape = {0}, side = {0};
  proto_string(&data, 1, plugin);
  proto_message(&data, 2, message);
  proto_message(&metadata, 1, &data);
  /* An empty tensor of floats: TensorBoard passes over values without one. */
  proto_int(&side, 1, 0);
  proto_message(&shape, 2, &side);
  proto_int(&tensor, 1, 1);
  proto_message(&tensor, 2, &shape);
  proto_string(&value, VALUE_TAG, tag);
  proto_message(&value, VALUE_TENSOR, &tensor);
  proto_message(&value, VALUE_METADATA, &metadata);
  write_value(out, time, 0, &value);
}
