/* mae bench: the speed of whole training steps, beside the ceiling that matrix products set. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mae/base/commands.h"
#include "mae/cmd/cmd.h"
#include "mae/model/device.h"
#include "mae/model/products.h"
#include "mae/train/bench.h"
#include "mae/train/profile.h"

static const char about[] =
    "Times whole training steps (forward, backward, optimiser) of the given\n"
    "configuration on noise images: no files are read. images_per_second and\n"
    "gflops_per_second are those of the median step.";

/* What one run measured; plain data, since --suite passes it through a pipe. */
typedef struct Report {
  BenchResult result;
  double peak;   /* GFLOP/s of large matrix products; 0: not measured */
  double memory; /* GB/s of large arrays; 0: not measured */
  DeviceInfo device;
  Error error; /* code 0: none */
} Report;

typedef struct BenchOptions {
  int64_t steps, warmup;
  bool peak, profile, pipeline;
  ProfilePeaks assumed; /* --floors */
  const char *products; /* file for a table of products; NULL: none is made */
} BenchOptions;

static bool run_on(Report *r, const Config *config, Device *device, const BenchOptions *o) {
  Error *e = &r->error;
  if (o->products && !products_time(device, e)) return false;
  if (o->profile) profile_attach(device, false);
  bool ok = bench_steps(&r->result, config, device, o->pipeline, (int)o->steps, (int)o->warmup, e);
  if (o->profile) profile_detach(device);
  device->kernels->info(device, &r->device);
  ok = ok && (!o->products || products_save(device, o->products, e));
  return ok && (!o->peak || bench_peak(&r->peak, device, config_dtype(config), e)) &&
         (!o->profile || bench_memory(&r->memory, device, e));
}

static bool run_bench(Report *r, const Config *config, const BenchOptions *o) {
  *r = (Report){.peak = 0};
  Device *device = device_open(config, 0, 1, &r->error);
  if (!device) return false;
  bool ok = run_on(r, config, device, o);
  device->kernels->close(device);
  return ok;
}

static json_t *report_json(const Report *r, const Config *config) {
  const BenchResult *b = &r->result;
  char encoder[64], decoder[64];
  json_t *json = json_pack(
      "{s:s, s:i, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I}",
      "device", r->device.name, "threads", r->device.threads, "encoder",
      config_get(config, "model.encoder", encoder, sizeof encoder), "decoder",
      config_get(config, "model.decoder", decoder, sizeof decoder), "precision",
      dtype_name(config_dtype(config)), "image_size", config->model.image_size, "batch",
      config->train.batch, "steps", b->steps, "warmup_steps", b->warmup, "images_per_second",
      b->images_per_second, "gflops_per_second", b->gflops_per_second, "gflops_per_image",
      b->gflops_per_image, "step_seconds_median", b->step_seconds_median, "step_seconds_p10",
      b->step_seconds_p10, "step_seconds_p90", b->step_seconds_p90, "loss", b->loss,
      "peak_memory_bytes", (json_int_t)b->memory_peak, "planned_memory_bytes",
      (json_int_t)b->memory_planned);
  if (json && r->peak > 0) {
    json_object_set_new(json, "peak_gflops_per_second", json_real(r->peak));
    json_object_set_new(json, "share_of_peak", json_real(b->gflops_per_second / r->peak));
  }
  return json;
}

static int print_json(json_t *json) {
  Error e;
  return cmd_print_json(json, 2, &e) ? EXIT_OK : command_fail("mae bench", &e);
}

static void print_device(const DeviceInfo *device) {
  printf("%s; %s", device->name, device->libraries);
  if (device->threads > 0) printf("; %d thread%s", device->threads, device->threads > 1 ? "s" : "");
  putchar('\n');
}

static void print_report(const Report *r, const Config *config, const BenchOptions *o) {
  const BenchResult *b = &r->result;
  char encoder[64], decoder[64];
  printf("device       ");
  print_device(&r->device);
  printf("model        encoder %s, decoder %s, %d px in patches of %d, %g%% masked\n",
         config_get(config, "model.encoder", encoder, sizeof encoder),
         config_get(config, "model.decoder", decoder, sizeof decoder), config->model.image_size,
         config->model.patch_size, 100 * config->train.mask_ratio);
  printf("training     %s, batch %d (%d at a time)\n", dtype_name(config_dtype(config)),
         config->train.batch,
         config->train.batch / (config->train.shards * config->train.accumulate));
  printf("step         %.4g ms median, %.4g to %.4g (p10 to p90) of %d steps after %d\n",
         1e3 * b->step_seconds_median, 1e3 * b->step_seconds_p10, 1e3 * b->step_seconds_p90,
         b->steps, b->warmup);
  printf("throughput   %.4g images/s, %.4g GFLOP/s (%.4g GFLOP per image)\n", b->images_per_second,
         b->gflops_per_second, b->gflops_per_image);
  if (o->peak)
    printf("ceiling      %.4g GFLOP/s in large matrix products: the step reaches %.0f%%\n", r->peak,
           100 * b->gflops_per_second / r->peak);
  printf("memory       %.4g MiB at most, of it %.4g MiB planned for the model\n",
         (double)b->memory_peak / 0x1p20, (double)b->memory_planned / 0x1p20);
  if (o->products) printf("products     %s: use it with run.products\n", o->products);
  if (o->profile) {
    ProfilePeaks peaks = {1e9 * r->peak, 1e9 * r->memory};
    printf("\nBeside the floors that %.4g TFLOP/s of matrix products and %.4g GB/s of memory set, "
           "both\nmeasured in this run; each step as its operations one by one, not replayed:\n\n",
           1e-3 * r->peak, r->memory);
    profile_print(stdout, b->steps, &peaks);
  }
}

/* The two models that the project's speed is judged by. */
typedef struct SuiteCase {
  const char *name, *settings[8][2];
  int batch_cpu, batch_gpu;
} SuiteCase;

static const SuiteCase suite[] = {
    {"small",
     {{"model.image_size", "64"},
      {"model.patch_size", "8"},
      {"model.encoder", "192x6x3"},
      {"model.decoder", "96x2x3"}},
     128,
     1024},
    {"ViT-Base",
     {{"model.image_size", "224"},
      {"model.patch_size", "16"},
      {"model.encoder", "vit_base"},
      {"model.decoder", "384x12x6"}},
     8,
     256},
};
enum { SUITE_COUNT = sizeof suite / sizeof *suite };

static bool suite_config(Config *config, const SuiteCase *s, Precision precision, Error *e) {
  for (int i = 0; i < 8 && s->settings[i][0]; i++)
    if (!config_set(config, s->settings[i][0], s->settings[i][1], NULL, e)) return false;
  bool gpu = strcmp(config->run.device, "cpu") != 0 && backend_cuda_count() > 0;
  config->train.batch = gpu ? s->batch_gpu : s->batch_cpu;
  config->train.precision = precision;
  return config_validate(config, e);
}

static bool receive(int from, void *to, size_t size) {
  size_t got = 0;
  for (ssize_t n; got < size; got += (size_t)n)
    if ((n = read(from, (char *)to + got, size - got)) <= 0) return false;
  return true;
}

/* Measures a case in a process of its own, and leaves its configuration in *config. The peak memory
 * of a process never goes down again; and as a GPU does not serve a process that was forked after
 * CUDA had been asked for GPUs, only that process asks. */
static bool run_apart(Report *r, Config *config, const SuiteCase *s, Precision precision,
                      const BenchOptions *o) {
  int ends[2];
  *r = (Report){.peak = 0};
  if (pipe(ends)) return error_set(&r->error, EXIT_DEVICE, "cannot make a pipe");
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    if (suite_config(config, s, precision, &r->error)) run_bench(r, config, o);
    bool sent = write(ends[1], config, sizeof *config) == (ssize_t)sizeof *config &&
                write(ends[1], r, sizeof *r) == (ssize_t)sizeof *r;
    _exit(sent ? EXIT_OK : EXIT_DEVICE);
  }
  close(ends[1]);
  bool received =
      child > 0 && receive(ends[0], config, sizeof *config) && receive(ends[0], r, sizeof *r);
  close(ends[0]);
  if (child > 0) waitpid(child, NULL, 0);
  if (!received)
    return error_set(&r->error, EXIT_DEVICE, "the measuring process ended without a result");
  return r->error.code == 0;
}

static void print_suite_row(const char *name, const Config *config, const Report *r) {
  const BenchResult *b = &r->result;
  printf("%-9s %-9s %5d %9.4g %9.1f %9.1f %8.1f %8.0f%% %9.0f\n", name,
         dtype_name(config_dtype(config)), config->train.batch, 1e3 * b->step_seconds_median,
         b->images_per_second, b->gflops_per_second, r->peak, 100 * b->gflops_per_second / r->peak,
         (double)b->memory_peak / 0x1p20);
  commands_flush_output();
}

static int run_suite(const Config *base, BenchOptions o, bool as_json) {
  json_t *rows = json_array();
  bool headed = false;
  int code = EXIT_OK;
  o.peak = true;
  for (int i = 0; i < SUITE_COUNT && code == EXIT_OK; i++)
    for (int p = 0; p < PRECISION_COUNT && code == EXIT_OK; p++) {
      Config config = *base;
      Report r = {.peak = 0};
      bool ok = run_apart(&r, &config, &suite[i], (Precision)p, &o);
      /* A precision that the device lacks is an error of the configuration: no row for it. */
      if (!ok && p > 0 && r.error.code == EXIT_CONFIG) continue;
      if (!ok) {
        code = command_fail("mae bench", &r.error);
      } else if (as_json) {
        json_array_append_new(rows, report_json(&r, &config));
      } else {
        if (!headed) {
          print_device(&r.device);
          printf("whole training steps; ceiling: large matrix products in the same run\n\n"
                 "%-9s %-9s %5s %9s %9s %9s %8s %9s %9s\n",
                 "model", "precision", "batch", "ms/step", "images/s", "GFLOP/s", "ceiling",
                 "reached", "peak MiB");
        }
        headed = true;
        print_suite_row(suite[i].name, &config, &r);
      }
    }
  if (as_json && code == EXIT_OK) return print_json(rows);
  json_decref(rows);
  return code;
}

/* "4800:700", GB/s and TFLOP/s, both above 0. */
static bool parse_peaks(ProfilePeaks *peaks, const char *text, Error *e) {
  double bytes, flops;
  char end;
  if (sscanf(text, "%lf:%lf%c", &bytes, &flops, &end) != 2 || !(bytes > 0) || !(flops > 0))
    return error_set(e, EXIT_CONFIG, "--floors %.100s: expected GB/s:TFLOP/s, such as 4800:700",
                     text);
  *peaks = (ProfilePeaks){1e12 * flops, 1e9 * bytes};
  return true;
}

/* Counts the operations of one step without running them, and prints the least time they take. */
static int print_floors(const Config *config, const BenchOptions *o) {
  BenchResult counted;
  Error e;
  char message[512];
  Device *device = backend_open("cpu", 0, true, message, sizeof message);
  if (!device) {
    error_set(&e, EXIT_DEVICE, "%s", message);
    return command_fail("mae bench", &e);
  }
  profile_attach(device, true);
  bool ok = bench_steps(&counted, config, device, o->pipeline, 1, 0, &e);
  profile_detach(device);
  device->kernels->close(device);
  if (!ok) return command_fail("mae bench", &e);
  printf("Computed, not measured: the least a training step takes where matrix products reach "
         "%.4g\nTFLOP/s and memory %.4g GB/s. Batch %d, %s, %.4g GFLOP per image.\n\n",
         1e-12 * o->assumed.flops_per_second, 1e-9 * o->assumed.bytes_per_second,
         config->train.batch, dtype_name(config_dtype(config)), counted.gflops_per_image);
  double floor = profile_print(stdout, 1, &o->assumed);
  printf("\n%.0f images/s when every operation is at its floor: %.0f%% of the products' peak\n",
         config->train.batch / floor,
         1e11 * counted.gflops_per_image * config->train.batch / floor /
             o->assumed.flops_per_second);
  return EXIT_OK;
}

int cmd_bench(int argc, char **argv) {
  BenchOptions o = {.steps = 20, .warmup = 3};
  bool as_json = false, whole_suite = false;
  const char *floors = NULL;
  const CmdOption options[] = {
      {"--steps", CMD_COUNT, &o.steps, "N", "steps to time (default: 20)"},
      {"--warmup", CMD_COUNT, &o.warmup, "N", "steps before the first that counts (default: 3)"},
      {"--peak", CMD_FLAG, &o.peak, NULL, "also time large matrix products, the ceiling"},
      {"--pipeline", CMD_FLAG, &o.pipeline, NULL,
       "cut each step's images out of 64 x 64 sources; otherwise they lie on the\n"
       "device"},
      {"--profile", CMD_FLAG, &o.profile, NULL,
       "also print the time of every operation beside the least it can take"},
      {"--products", CMD_TEXT, &o.products, "FILE",
       "time the best algorithms of every matrix product on this GPU and write the\n"
       "table that run.products names; the steps that are timed follow it"},
      {"--floors", CMD_TEXT, &floors, "GB/S:TFLOP/S",
       "only print what a step takes at the least on a device with such memory\n"
       "and such matrix products: nothing is run"},
      {"--suite", CMD_FLAG, &whole_suite, NULL,
       "a table of the two reference models in every precision the device has"},
      {"--json", CMD_FLAG, &as_json, NULL, "print the result as JSON"},
  };
  ConfigCommand command = {.line = {.name = "mae bench",
                                    .about = about,
                                    .options = options,
                                    .option_count = sizeof options / sizeof *options},
                           .no_data = true};
  int code;
  if (!cmd_parse(&command, argc, argv, &code)) return code;
  Report r = {.peak = 0};
  if (o.steps < 1 || o.steps > 1000000 || o.warmup > 1000000) {
    error_set(&r.error, EXIT_CONFIG, "--steps takes 1 to 1000000, --warmup up to 1000000");
    return command_fail("mae bench", &r.error);
  }
  if (as_json && o.profile) {
    error_set(&r.error, EXIT_CONFIG, "--json and --profile exclude each other");
    return command_fail("mae bench", &r.error);
  }
  if (o.products && (floors || whole_suite || *command.config.run.products)) {
    error_set(&r.error, EXIT_CONFIG,
              "--products excludes --floors, --suite and run.products: a table is made for one "
              "configuration, from the start");
    return command_fail("mae bench", &r.error);
  }
  if (floors) {
    if (!parse_peaks(&o.assumed, floors, &r.error)) return command_fail("mae bench", &r.error);
    return print_floors(&command.config, &o);
  }
  o.peak |= o.profile;
  if (whole_suite) return run_suite(&command.config, o, as_json);
  if (!run_bench(&r, &command.config, &o)) return command_fail("mae bench", &r.error);
  if (as_json) return print_json(report_json(&r, &command.config));
  print_report(&r, &command.config, &o);
  return EXIT_OK;
}
