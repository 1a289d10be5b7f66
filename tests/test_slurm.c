/* A sweep on a real Slurm: munged, slurmctld and slurmd of Debian, started here on 127.0.0.1 with a
 * configuration of their own. Needs root, as slurmd does. Exit code 77: there is no Slurm, or it
 * does not start here. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "mae/base/error.h"
#include "tests/suite.h"
#include "tests/sweep.h"

enum { SKIPPED = 77 };

#define PATIENT PROGRAM_DIR "/../tests/patient_trainer"
#define STATES                                                                                     \
  "SELECT config_hash, status, psnr_masked, state_sha256 FROM trials ORDER BY config_hash"

/* ---- Slurm ---- */

static char base[64]; /* the folder of the daemons; no test's */

static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *format, ...) {
  char command[4096];
  va_list args;
  va_start(args, format);
  vsnprintf(command, sizeof command, format, args);
  va_end(args);
  int status = system(command);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* A daemon in the foreground, which ends when this process does, however that ends. */
static void start_daemon(const char *words, const char *log) {
  char text[512], path[128], *argv[16];
  int count = 0;
  snprintf(text, sizeof text, "%s", words);
  for (char *word = strtok(text, " "); word && count < 15; word = strtok(NULL, " "))
    argv[count++] = word;
  argv[count] = NULL;
  snprintf(path, sizeof path, "%s/%s", base, log);
  pid_t child = fork();
  if (child == 0) {
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (out >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0) execvp(argv[0], argv);
    _exit(127);
  }
}

/* Two ports that nobody has. */
static void free_ports(int ports[2]) {
  int sockets[2];
  for (int i = 0; i < 2; i++) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
    ports[i] = 0;
    if (bind(sockets[i], (struct sockaddr *)&address, size) == 0 &&
        getsockname(sockets[i], (struct sockaddr *)&address, &size) == 0)
      ports[i] = ntohs(address.sin_port);
  }
  for (int i = 0; i < 2; i++) close(sockets[i]);
}

/* A part that is queued again waits as long as a credential lives (cred_expire), else two minutes.
 */
static void write_configuration(void) {
  char path[128], host[256] = "";
  int ports[2];
  free_ports(ports);
  gethostname(host, sizeof host - 1);
  host[strcspn(host, ".")] = 0;
  snprintf(path, sizeof path, "%s/slurm.conf", base);
  FILE *file = fopen(path, "w");
  fprintf(file,
          "ClusterName=maebench\nSlurmctldHost=%s(127.0.0.1)\nSlurmUser=root\nSlurmdUser=root\n"
          "AuthType=auth/munge\nAuthInfo=socket=%s/munge.socket,cred_expire=5\n"
          "SlurmctldPort=%d\nSlurmdPort=%d\n"
          "StateSaveLocation=%s/state\nSlurmdSpoolDir=%s/spool\n"
          "SlurmctldPidFile=%s/slurmctld.pid\nSlurmdPidFile=%s/slurmd.pid\n"
          "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n"
          "SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n"
          "SchedulerParameters=bf_interval=1,sched_interval=2,batch_sched_delay=0\n"
          "JobAcctGatherType=jobacct_gather/none\nReturnToService=2\nKillWait=20\n"
          "NodeName=%s NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN\n"
          "PartitionName=short Nodes=%s Default=YES DefaultTime=10 MaxTime=60 State=UP\n",
          host, base, ports[0], ports[1], base, base, base, base, host, host);
  fclose(file);
  setenv("SLURM_CONF", path, 1);
  /* From 23.02 on slurmd wants control groups unless it is told not to; before, it does not know
   * the word. */
  shell("mkdir %s/state %s/spool; slurmd -V | grep -q ' \\(2[0-1]\\|22\\)\\.' || "
        "echo CgroupPlugin=disabled >%s/cgroup.conf",
        base, base, base);
}

/* Why not; NULL: it runs. */
static const char *start_slurm(void) {
  static char why[4096];
  char words[512];
  if (geteuid() != 0) return "slurmd runs as root only";
  setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", 1);
  if (shell("for p in munged slurmctld slurmd sbatch; do command -v $p >/dev/null || exit 1; done"))
    return "there is no Slurm; sh tests/deps.sh slurm installs it";
  write_configuration();
  shell("cd %s && head -c 128 /dev/urandom >key && chmod 600 key", base);
  snprintf(words, sizeof words,
           "munged -F --force --socket=%s/munge.socket --key-file=%s/key --log-file=%s/munged.log "
           "--pid-file=%s/munged.pid --seed-file=%s/munged.seed",
           base, base, base, base, base);
  start_daemon(words, "munged.out");
  for (int i = 0; i < 200 && shell("test -S %s/munge.socket", base); i++) usleep(50000);
  start_daemon("slurmctld -D", "slurmctld.out");
  start_daemon("slurmd -D", "slurmd.out");
  for (int i = 0; i < 60; i++, usleep(250000))
    if (!shell("timeout 2 sinfo --noheader --format=%%T 2>/dev/null | grep -qx idle")) return NULL;
  snprintf(words, sizeof words, "tail -n 4 %s/*.out", base);
  FILE *said = popen(words, "r");
  size_t length = (size_t)snprintf(why, sizeof why, "Slurm does not start here:\n");
  if (said) why[length + fread(why + length, 1, sizeof why - length - 1, said)] = 0;
  if (said) pclose(said);
  return why;
}

/* Kills the children of this process, and those that become its children then. */
static void kill_all(void) {
  DIR *dir = opendir("/proc");
  for (const struct dirent *entry; dir && (entry = readdir(dir));) {
    char path[300], line[512] = "";
    int pid = atoi(entry->d_name), parent = 0;
    if (pid < 2) continue;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) continue;
    const char *name_end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (name_end) sscanf(name_end + 1, " %*c %d", &parent);
    fclose(file);
    if (parent == getpid()) kill(pid, SIGKILL);
  }
  if (dir) closedir(dir);
}

/* Runs `work` in a process of its own and then ends all that it left behind: daemons, and jobs that
 * outlive them. The same when this process is killed, which the one between them sees. */
static int run_guarded(int (*work)(void)) {
  int status = 0;
  pid_t caller = getpid(), guard = fork();
  if (guard > 0) {
    waitpid(guard, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
  }
  setsid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  strcpy(base, "/tmp/maebench_slurm_XXXXXX");
  if (guard < 0 || !mkdtemp(base)) _exit(EXIT_FAILURE);
  pid_t worker = fork();
  if (worker == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    exit(work());
  }
  while (waitpid(worker, &status, WNOHANG) == 0 && getppid() == caller) usleep(100000);
  for (int i = 0; i < 200; i++, usleep(50000)) {
    kill_all();
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD) break;
  }
  nftw(base, scratch_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

/* ---- The sweep ---- */

static const char tiny[] = "[experiment]\nquestion = Does it go on?\n"
                           "[model]\n"
                           "image_size = 16\npatch_size = 4\n"
                           "encoder = 32x2x2\ndecoder = 16x1x2\n"
                           "[train]\n"
                           "batch = 8\nsteps = 370\n"
                           "[data]\ntrain_images = 16\n"
                           "[eval]\nimages = 8\nbatch = 8\n"
                           "[run]\n"
                           "device = cpu\nthreads = 1\ncheckpoint_every = 200\n"
                           "[sweep]\ntrain.mask_ratio = 0.5, 0.75\n";

#define RUN "run exp.ini --scale none --db r.db --out out --mae " PATIENT
#define STATE "out/slurm/1/part-1.state", "out/slurm/1/part-2.state"

/* Also of what a test left that failed. */
static void empty_queue(void) {
  shell("scancel --user=$(id -un); for i in $(seq 100); do squeue --noheader | grep -q . || break; "
        "sleep 0.2; done");
}

static void setup_sweep(void) {
  empty_queue();
  setup();
  scratch_write("exp.ini", tiny);
}

/* Nothing is left running in the folder that is removed. */
static void teardown_sweep(void) {
  empty_queue();
  scratch_teardown();
}

static bool holds(const char *name, const char *word) {
  char *text = scratch_read(name);
  bool found = strstr(text, word) != NULL;
  free(text);
  return found;
}

/* Calls `look` until it is content. */
static void wait_until(bool (*look)(void), const char *what) {
  for (int i = 0; i < 600; i++, usleep(200000))
    if (look()) return;
  shell("tail -n 40 out/slurm/1/* >&2; squeue >&2; tail -n 20 %s/*.out >&2", base);
  ck_abort_msg("waited in vain for %s", what);
}

static void read_array(char id[32]) {
  json_error_t problem;
  json_t *record = json_load_file("out/slurm/1/submission.json", 0, &problem);
  ck_assert_msg(record != NULL, "%s", problem.text);
  snprintf(id, 32, "%s", json_string_value(json_object_get(record, "array")));
  json_decref(record);
}

static bool trains(void) {
  return !shell("test \"$(cat out/exp/*/events.jsonl 2>/dev/null | grep -c '\"event\":\"step\"')\" "
                "-gt 5 && grep -q running out/slurm/1/part-1.state out/slurm/1/part-2.state");
}

static bool has_imported(void) {
  return holds("out/slurm/1/import.state", " ended 0");
}

static struct Seen { bool running, requeued, waiting_import; } seen;

/* The same, and notes what `harness status` said meanwhile. */
static bool has_imported_and_told(void) {
  ck_assert_int_eq(harness("status --db r.db"), 0);
  seen.running |= !shell("grep -q 'exp *running *[12] *[0-9]*_' log");
  seen.requeued |= !shell("grep -q 'exp *requeued *[12] *[0-9]*_.* BeginTime' log");
  seen.waiting_import |= !shell("grep -q 'exp *queued *import .* Dependency' log");
  return has_imported();
}

static int count_lines(const char *pattern, const char *name) {
  char command[256];
  int count = -1;
  snprintf(command, sizeof command, "grep -c '%s' %s", pattern, name);
  FILE *out = popen(command, "r");
  ck_assert_int_eq(fscanf(out, "%d", &count), 1);
  pclose(out);
  return count;
}

/* Each line of events takes 30 ms and each session less than 4 s: the 370 steps of a trial last at
 * least four sessions on any machine. */
START_TEST(a_sweep_that_is_queued_again_ends_in_the_same_bits) {
  static const char *const states[] = {STATE};
  char array[32];
  expect_code("run exp.ini --scale none --db whole.db --out whole", 0, "done");
  expect_code(RUN " --time-limit 4s --slurm --job-name=again", 0, "DefaultTime 00:10:00 of");
  ck_assert(holds("log", "tasks 1-2; then job"));
  ck_assert(holds("out/slurm/1/job.sh", "#SBATCH --time=10\n"));
  expect_rows("SELECT count(*) FROM trials WHERE planned", "2\n");
  expect_code(RUN " --time-limit 4s --slurm", EXIT_CONFIG, "is still at this sweep");
  read_array(array);
  /* Slurm's own warning does the same as the harness's own clock. */
  wait_until(trains, "training");
  ck_assert_int_eq(shell("scancel --signal=USR1 --batch %s_1", array), 0);
  wait_until(has_imported_and_told, "the import");
  ck_assert(seen.running && seen.requeued && seen.waiting_import);
  for (int i = 0; i < 2; i++) {
    ck_assert_int_ge(count_lines(" requeued", states[i]), 3);
    ck_assert_int_eq(count_lines(" ended 0", states[i]), 1);
    ck_assert_int_eq(count_lines(" running", states[i]), count_lines(" requeued", states[i]) + 1);
  }
  ck_assert_int_eq(count_lines(" running", "out/slurm/1/import.state"), 1);
  char *whole = query_db("whole.db", STATES), *got = query_db("r.db", STATES);
  ck_assert_str_eq(whole, got);
  ck_assert_ptr_nonnull(strstr(whole, "|done|"));
  free(whole);
  free(got);
  expect_code(RUN " --slurm", 0, "all trials are done: there is nothing to submit");
  expect_code("status --db r.db", 0, "exp");
  ck_assert(!holds("log", "out/slurm"));
}
END_TEST

/* What scancel ends is not queued again; its trials have a checkpoint, and the import tells so. */
START_TEST(scancel_ends_it) {
  char array[32];
  expect_code(RUN " --slurm --array=1-2%1", 0, "tasks 1-2%1; then job");
  wait_until(trains, "training");
  expect_code("status --db r.db", 0, "JobArrayTaskLimit");
  read_array(array);
  ck_assert_int_eq(shell("scancel %s", array), 0);
  wait_until(has_imported, "the import");
  ck_assert(holds("out/slurm/1/part-1.state", " stopped\n"));
  ck_assert(!holds("out/slurm/1/part-1.state", "requeued"));
  expect_rows("SELECT count(*), sum(status = 'interrupted'), sum(status = 'pending') FROM trials",
              "2|1|1\n");
  expect_code("status --db r.db", 0, "the same `harness run --slurm` submits what is left");
  ck_assert(holds("log", "stopped"));
  ck_assert(holds("log", "gone"));
}
END_TEST

START_TEST(what_slurm_refuses) {
  expect_code(RUN " --slurm --gpus=7", EXIT_DATA, "sbatch ended with exit code 1: sbatch: error: ");
  expect_code(RUN " --slurm --partition=nowhere", EXIT_DATA, "Slurm knows no partition nowhere");
  expect_code(RUN " --time-limit 11m --slurm", EXIT_CONFIG,
              "--time-limit is 660 s, but Slurm ends a task after 600 s");
  expect_code(RUN " --dry-run --slurm --time=2:00:00", 0, "the tasks may wait for ever");
  scratch_write("bad.ini", "[train]\nbach = 3\n");
  expect_code("run exp.ini bad.ini --scale none --db r.db --out out --slurm", EXIT_CONFIG,
              "bad.ini:2");
  ck_assert_int_eq(shell("test -z \"$(ls out/slurm)\" && ! squeue --noheader | grep ."), 0);
}
END_TEST

static int run_suite(void) {
  const char *why = start_slurm();
  if (why) {
    printf("skipped: %s\n", why);
    return SKIPPED;
  }
  Suite *suite = suite_create("slurm");
  TCase *sweeps = tcase_create("sweeps");
  tcase_add_checked_fixture(sweeps, setup_sweep, teardown_sweep);
  tcase_set_timeout(sweeps, 180);
  tcase_add_test(sweeps, what_slurm_refuses);
  tcase_add_test(sweeps, scancel_ends_it);
  tcase_add_test(sweeps, a_sweep_that_is_queued_again_ends_in_the_same_bits);
  suite_add_tcase(suite, sweeps);
  return suite_run(suite);
}

int main(void) {
  return run_guarded(run_suite);
}
