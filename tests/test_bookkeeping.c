/* Whose a result is and whether it is finished: after damage, double starts, copied folders and
 * processes that die at the worst moment, the database says what the trial folders hold. */
#include <signal.h>

#include "mae/data/picture.h"
#include "tests/suite.h"
#include "tests/sweep.h"

#define OTHER "run exp.ini --scale none --db other.db --out out --mae " FAKE

static const char by_seed[] = "SELECT seed, mask_ratio, round(psnr_masked, 2) FROM trials "
                              "WHERE status = 'done' ORDER BY 1, 2";
/* What the fake trainer's scores are. */
static const char scores[] = "1|0.5|18.01\n1|0.75|17.01\n2|0.5|18.02\n2|0.75|17.02\n";

static void shell(const char *command) {
  ck_assert_msg(system(command) == 0, "%s", command);
}

/* The folder of the trial of seed 2 at 0.75 is $D of the commands. */
#define D                                                                                          \
  "D=$(dirname $(grep -l '^seed = 2' $(grep -l '^mask_ratio = 0.75' out/exp/*/config.ini))); "

static const struct {
  const char *name, *command;
  bool import; /* tells of it; a file cut between two lines is noticed by what is not in it */
} damages[] = {
    {"a flipped bit", "sed -i '8s/loss/losr/' $D/events.jsonl", true},
    {"an edited score", "sed -i 's/\"psnr_masked\":17/\"psnr_masked\":27/' $D/events.jsonl", true},
    {"a line lost", "sed -i '9d' $D/events.jsonl", true},
    {"two lines changed over", "sed -i '9{h;d};10{G}' $D/events.jsonl", true},
    {"the end cut off", "sed -i '$d' $D/events.jsonl", false},
    {"bytes cut off", "truncate -s -512 $D/events.jsonl", false},
    {"emptied", ": > $D/events.jsonl", false},
    {"deleted", "rm $D/events.jsonl", false},
    {"a page of zeros",
     "dd if=/dev/zero of=$D/events.jsonl bs=512 seek=1 count=1 conv=notrunc "
     "2> dd.log",
     true},
    {"another trial's", "cp $(ls out/exp/*/events.jsonl | grep -v $D/ | head -1) $D/events.jsonl",
     true},
};

/* Whatever is done to an event file, its trial is not done any more, in the database that knew it
 * as well as in one that is made anew; the next run trains it again, and all scores are right. */
START_TEST(damage_is_never_a_result) {
  static const char three[] = "SELECT count(*) FROM trials WHERE status = 'done'";
  expect_code(RUN_FAKE, 0, "done");
  char command[1024];
  snprintf(command, sizeof command, D "%s", damages[_i].command);
  shell(command);
  for (int fresh = 0; fresh < 2; fresh++) {
    const char *db = fresh ? "fresh.db" : "r.db";
    snprintf(command, sizeof command, "import --db %s --out out", db);
    expect_code(command, 0, damages[_i].import ? "left out" : "4 trials");
    char *done = query_db(db, three);
    ck_assert_msg(!strcmp(done, "3\n"), "%s, %s: %s are done", damages[_i].name, db, done);
    free(done);
  }
  expect_code(RUN_FAKE, 0, "3 of 4 trials are done already");
  expect_rows(by_seed, scores);
  expect_code("import --db last.db --out out", 0, "4 trials");
  char *rebuilt = query_db("last.db", by_seed);
  ck_assert_str_eq(rebuilt, scores);
  free(rebuilt);
}
END_TEST

static const char *const edits[] = {
    "sed -i 's/^blr = .*/blr = 0.03/' $D/config.ini", ": > $D/config.ini",
    "sed -i 's/\"config_hash\": \"./\"config_hash\": \"x/' $D/trial.json",
    "mv $D out/exp/0123456789ab"};

START_TEST(an_edited_description_is_left_out) {
  expect_code(RUN_FAKE, 0, "done");
  char command[512];
  snprintf(command, sizeof command, D "%s", edits[_i]);
  shell(command);
  expect_code("import --db fresh.db --out out", 0, "left out");
  char *rows = query_db("fresh.db", "SELECT count(*) FROM trials");
  ck_assert_str_eq(rows, "3\n");
  free(rows);
}
END_TEST

/* Whatever is done to an event file after it was noted, or to the note, has the file read whole. */
static const struct {
  const char *command, *said;
} touches[] = {
    {"sed -i 's/done/none/' $D/events.facts", "4 of 4"}, /* its seal is broken */
    {"truncate -s -1 $D/events.facts", "4 of 4"},        /* it is cut */
    {": > $D/events.facts", "4 of 4"},
    {"rm $D/events.facts && mkdir $D/events.facts", "4 of 4"},
    /* One byte in place, its size and the time of its last write as they were. */
    {"cp -p $D/events.jsonl was && printf x | dd of=$D/events.jsonl bs=1 seek=3000 conv=notrunc "
     "2> dd.log && touch -r was $D/events.jsonl",
     "3 of 4"},
    /* The same in a copy that takes its place. */
    {"cp -p $D/events.jsonl was && sed -i '9s/loss/losr/' $D/events.jsonl && touch -r was "
     "$D/events.jsonl",
     "3 of 4"},
};

/* Each in a folder of its own, so that all files come of age in one sleep: one that was just
 * written to is not noted. */
START_TEST(a_note_is_of_the_file_as_it_is) {
  enum { TOUCHES = sizeof touches / sizeof *touches };
  char command[1024];
  expect_code(RUN_FAKE, 0, "done");
  for (int i = 0; i < TOUCHES; i++) {
    snprintf(command, sizeof command, "mkdir case%d && cp -a exp.ini out r.db* case%d", i, i);
    shell(command);
  }
  sleep(4);
  for (int i = 0; i < TOUCHES; i++) {
    snprintf(command, sizeof command, "case%d", i);
    ck_assert_int_eq(chdir(command), 0);
    expect_code(RUN_FAKE, 0, "4 of 4 trials are done already");
    shell("test $(ls out/exp/*/events.facts | wc -l) = 4");
    snprintf(command, sizeof command, D "%s", touches[i].command);
    shell(command);
    expect_code(RUN_FAKE " --dry-run", 0, touches[i].said[0] == '3' ? "to run" : "done");
    expect_code(RUN_FAKE, 0, touches[i].said);
    expect_rows(by_seed, scores);
    ck_assert_int_eq(chdir(".."), 0);
  }
}
END_TEST

/* While an event file stays as it is, the note answers for it: here one of another end, sealed. */
START_TEST(a_noted_file_is_not_read) {
  expect_code(RUN_FAKE, 0, "done");
  sleep(4);
  expect_code(RUN_FAKE " --dry-run", 0, "done");
  scratch_write("forge.py",
                "import hashlib, sys\n"
                "text = open(sys.argv[1]).read().replace('\"done\"', '\"none\"')\n"
                "text = text[:text.rindex(',\"seal\"')]\n"
                "seal = hashlib.sha256(text.encode()).hexdigest()[:16]\n"
                "open(sys.argv[1], 'w').write(text + ',\"seal\":\"' + seal + '\"}\\n')\n");
  shell(D "python3 forge.py $D/events.facts");
  expect_code(RUN_FAKE " --dry-run", 0, "to continue");
  ck_assert_int_eq(harness("import --db fresh.db --out out"), 0);
  char *rows = query_db("fresh.db", "SELECT count(*) FROM trials WHERE status = 'done'");
  ck_assert_str_eq(rows, "4\n"); /* an import reads the files */
  free(rows);
}
END_TEST

/* The end of a sweep notes what had settled by then: the next start finds it. */
START_TEST(a_sweep_leaves_notes) {
  setenv("FAKE_TRAINER", "slow", 1);
  expect_code(RUN_FAKE " --jobs 1", 0, "done");
  shell("test $(ls out/exp/*/events.facts | wc -l) -ge 2");
  expect_code(RUN_FAKE, 0, "4 of 4 trials are done already");
}
END_TEST

/* A file that changes as fast as it is looked at is read as it is each time. Fresh for an hour, so
 * that a slow machine sees it too. */
START_TEST(a_fresh_file_is_not_noted) {
  expect_code(RUN_FAKE, 0, "done");
  shell("rm -f out/exp/*/events.facts && touch -d '1 hour' out/exp/*/events.jsonl");
  expect_code(RUN_FAKE, 0, "4 of 4 trials are done already");
  shell("! ls out/exp/*/events.facts* 2> ls.log");
}
END_TEST

/* A database is read through for damage unless it is the file that its last writer closed. */
START_TEST(a_damaged_database_is_found) {
  expect_code(RUN_FAKE, 0, "done");
  expect_code(RUN_FAKE, 0, "4 of 4");
  shell("grep -q ' bytes, file ' r.db.lock");
  /* A page that a start has no need of. */
  char *page = query_db("r.db", "SELECT rootpage FROM sqlite_master WHERE name = 'message'");
  char command[256];
  snprintf(command, sizeof command,
           "printf '\\377\\377' | dd of=r.db bs=1 seek=$(((%d - 1) * 4096)) conv=notrunc 2> dd.log",
           atoi(page));
  free(page);
  shell("cp -p r.db was");
  shell(command);
  shell("touch -r was r.db");
  expect_code(RUN_FAKE, 4, "damaged");
}
END_TEST

/* A trainer that dies after its last event has finished its trial. */
START_TEST(the_end_event_counts_whatever_the_exit) {
  setenv("FAKE_TRAINER", "late", 1);
  expect_code(RUN_FAKE, 0, "done");
  expect_all_done();
  expect_code(RUN_FAKE, 0, "4 of 4 trials are done already");
  expect_code("import --db r.db --out out", 0, "4 trials");
  expect_all_done();
}
END_TEST

/* The same sweep started twice, with databases of their own: who comes second takes what is
 * free and finds the rest finished. */
START_TEST(a_double_start_finishes_once) {
  setenv("FAKE_TRAINER", "slow:30", 1);
  pid_t first = start_harness(RUN_FAKE);
  wait_for("ls out/exp/*/events.jsonl > names 2>&1");
  ck_assert_int_eq(harness(OTHER), 0);
  ck_assert_int_eq(scratch_wait(first), 0);
  expect_all_done();
  char *other = query_db("other.db", by_seed);
  expect_rows(by_seed, other);
  free(other);
  expect_rows("SELECT DISTINCT attempts FROM trials", "1\n");
}
END_TEST

/* A folder that another process holds: the other trials go first, then it is waited for, and
 * Ctrl-C ends that. Nothing is recorded as failed; when the folder is free the trial runs. */
START_TEST(a_held_folder_is_left_for_later) {
  static const char states[] = "SELECT status, count(*) FROM trials GROUP BY 1 ORDER BY 1";
  expect_code(RUN_FAKE, 0, "done");
  shell("rm -r out/exp/*/events* out/exp/*/checkpoints out/exp/*/launches.jsonl r.db");
  hold("$(ls out/exp/*/lock | head -1)");
  for (int round = 0; round < 2; round++) {
    pid_t run = start_harness(RUN_FAKE);
    wait_for("grep -q 'waiting for 1 trial ' log");
    shell("grep -q 'is left for later: process 7 of there works on it' log");
    shell("test $(cat out/exp/*/events.jsonl | grep -c '\"status\":\"done\"') = 3");
    if (round == 0) kill(run, SIGINT);
    if (round == 1) shell("touch free");
    ck_assert_int_eq(scratch_wait(run), round ? 0 : 128 + SIGINT);
    expect_rows(states, round ? "done|4\n" : "done|3\npending|1\n");
  }
  expect_rows("SELECT DISTINCT attempts FROM trials", "1\n");
}
END_TEST

/* While a harness waits for a trial that another build made, somebody sets that aside and begins it
 * anew: of what the database took in before, nothing is left. */
START_TEST(begun_anew_by_another_harness) {
  static const char attempts[] =
      "SELECT attempt, started, binary_sha256, resumed_from FROM attempt ORDER BY 1";
#define ONE " --set sweep.seeds=2 --set train.mask_ratio=0.75"
  shell("cp " FAKE " other && echo >> other");
  expect_code("run exp.ini --scale none --db o.db --out out --mae ./other" ONE, 0, "done");
  setenv("FAKE_TRAINER", "until:15:go", 1);
  pid_t anew = start_harness("run exp.ini --scale none --db a.db --out anew --mae " FAKE ONE);
  wait_for("grep -qs '\"step\":15,' anew/exp/*/events.jsonl");
  kill(anew, SIGINT);
  ck_assert_int_eq(scratch_wait(anew), 128 + SIGINT);
  unsetenv("FAKE_TRAINER");
  hold("$(ls out/exp/*/lock)");
  pid_t run = start_harness(RUN_FAKE ONE);
  wait_for("grep -q 'waiting for 1 trial ' log");
  shell(D "mkdir $D/superseded-1 && mv $D/events.jsonl $D/checkpoints $D/superseded-1 && "
          "cp -r anew/exp/*/events.jsonl anew/exp/*/checkpoints $D && touch free");
  ck_assert_int_eq(scratch_wait(run), 0);
  expect_code("import --db fresh.db --out out", 0, "1 trials");
  char *fresh = query_db("fresh.db", attempts);
  expect_rows(attempts, fresh);
  ck_assert_ptr_nonnull(strstr(fresh, "|15\n"));
  free(fresh);
}
END_TEST

/* A trainer behind a launcher outlives its harness and finishes the trial: the next run writes how
 * that ended, and takes away what run.keep does not keep. */
START_TEST(an_orphan_finishes_its_trial) {
  scratch_write("launch", "\"$@\"\nexit $?\n");
  shell("printf '[resources]\nlauncher = sh launch\n' >> exp.ini");
  setenv("FAKE_TRAINER", "until:15:go", 1);
  pid_t killed = start_harness(RUN_FAKE ONE);
  wait_for("grep -qs '\"step\":15,' out/exp/*/events.jsonl");
  kill(killed, SIGKILL);
  ck_assert_int_eq(scratch_wait(killed), 128 + SIGKILL);
  shell("touch go");
  wait_for("flock -n $(ls out/exp/*/lock) grep -q '\"status\":\"done\"' out/exp/*/events.jsonl");
  shell("test -e out/exp/*/checkpoints/step-10 && ! grep -q exit out/exp/*/launches.jsonl");
  expect_code(RUN_FAKE ONE, 0, "1 of 1 trials are done already");
  shell("test ! -e out/exp/*/checkpoints/step-10 && test -e out/exp/*/checkpoints/step-20");
  shell("grep -q '\"event\":\"exit\".*\"status\":\"done\"' out/exp/*/launches.jsonl");
  expect_rows("SELECT launch, status FROM launch", "1|done\n");
}
END_TEST

/* Where the lock cannot be had another harness may be at work: nothing is written there. */
START_TEST(a_folder_that_cannot_be_locked) {
  expect_code(RUN_FAKE ONE, 0, "done");
  shell("cd out/exp/* && rm -r events* checkpoints launches.jsonl lock && mkdir lock");
  expect_code(RUN_FAKE ONE, 1, "lock: cannot open: Is a directory");
  shell("test ! -e out/exp/*/launches.jsonl");
  shell("rmdir out/exp/*/lock");
  expect_code(RUN_FAKE ONE, 0, "done");
}
END_TEST

/* A trial's folder removed, and a seed more asked for: every row has its own score. */
START_TEST(a_removed_folder_moves_no_score) {
  expect_code(RUN_FAKE, 0, "done");
  shell(D "rm -r $D && sed -i 's/seeds = 1, 2/seeds = 1, 2, 3/' exp.ini");
  expect_code(RUN_FAKE, 0, "3 of 6 trials are done already");
  expect_rows(by_seed, "1|0.5|18.01\n1|0.75|17.01\n2|0.5|18.02\n2|0.75|17.02\n3|0.5|18.03\n"
                       "3|0.75|17.03\n");
}
END_TEST

/* Two machines gave out the same numbers; their folders are copied together, and the sweep that was
 * interrupted goes on there. */
START_TEST(copied_folders_keep_their_scores) {
  expect_code(RUN_FAKE, 0, "done");
  shell("mkdir second && sed 's/^seeds = .*/seeds = 5, 6/' exp.ini > second/late.ini");
  ck_assert_int_eq(chdir("second"), 0);
  setenv("FAKE_TRAINER", "until:15:go", 1);
  pid_t late = start_harness("run late.ini --scale none --db s.db --out out --mae " FAKE);
  wait_for("grep -qs '\"step\":15,' out/late/*/events.jsonl");
  kill(late, SIGINT);
  ck_assert_int_eq(scratch_wait(late), 128 + SIGINT);
  unsetenv("FAKE_TRAINER");
  ck_assert_int_eq(chdir(".."), 0);
  shell("cp -r second/out/late out/ && cp second/late.ini .");
  expect_code("import --db all.db --out out", 0, "8 trials");
  expect_code("run late.ini --scale none --db all.db --out out --mae " FAKE, 0, "done");
  static const char first[] = "SELECT seed, mask_ratio, round(psnr_masked, 2) FROM trials "
                              "WHERE experiment = 'exp' AND status = 'done' ORDER BY 1, 2";
  char *rows = query_db("all.db", first);
  ck_assert_str_eq(rows, scores);
  free(rows);
  rows = query_db("all.db", "SELECT count(*), count(DISTINCT psnr_masked) FROM trials "
                            "WHERE experiment = 'late' AND status = 'done'");
  ck_assert_str_eq(rows, "4|4\n");
  free(rows);
}
END_TEST

/* An event file that was cut while the database was kept, and has grown again. */
START_TEST(a_cut_file_is_read_anew) {
  setenv("FAKE_TRAINER", "until:15:go", 1);
  pid_t run = start_harness(RUN_FAKE);
  wait_for("grep -qs '\"step\":15,' out/exp/*/events.jsonl");
  kill(run, SIGINT);
  ck_assert_int_eq(scratch_wait(run), 128 + SIGINT);
  shell("for f in out/exp/*/events.jsonl; do head -n 5 $f > cut && cp cut $f; done");
  unsetenv("FAKE_TRAINER");
  expect_code(RUN_FAKE, 0, "done");
  expect_code("import --db fresh.db --out out", 0, "4 trials");
  static const char *const queries[] = {
      by_seed, "SELECT trial, count(*) FROM curves GROUP BY trial ORDER BY trial",
      "SELECT trial, attempt, resumed_from, last_step FROM attempts WHERE attempt IS NOT NULL "
      "ORDER BY 1, 2"};
  for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
    char *fresh = query_db("fresh.db", queries[i]);
    expect_rows(queries[i], fresh);
    free(fresh);
  }
}
END_TEST

START_TEST(a_deleted_folder_goes_with_the_next_import) {
  expect_code(RUN_FAKE, 0, "done");
  shell(D "rm -r $D");
  expect_code("import --db r.db --out out", 0, "has gone");
  expect_rows("SELECT count(*) FROM trials", "3\n");
}
END_TEST

/* What is no file, or too large, or of no use keeps nothing else out. */
static const char *const obstacles[] = {
    "rm $D/events.jsonl && mkdir $D/events.jsonl",
    "rm $D/events.jsonl && mkfifo $D/events.jsonl",
    "mkdir out/other && echo '{\"format\":1}' > out/other/sweep.json",
    "cp -r out/exp out/x && sed -i 's|\"experiment\": \"exp\"|\"experiment\": \"../../x\"|' "
    "out/x/sweep.json",
    "cp -r out/exp out/y && sed -i \"s|\\\"experiment\\\": \\\"exp\\\"|\\\"experiment\\\": "
    "\\\"edit('x')\\\"|\" out/y/sweep.json",
    "sed -i 's/\"id\": [0-9]*/\"id\": 9223372036854775807/' $D/trial.json"};

START_TEST(one_bad_folder_blocks_no_import) {
  expect_code(RUN_FAKE, 0, "done");
  char command[512];
  snprintf(command, sizeof command, D "%s", obstacles[_i]);
  shell(command);
  ck_assert_int_eq(harness("import --db fresh.db --out out"), 0);
  char *rows = query_db("fresh.db", "SELECT count(*) >= 3 FROM trials WHERE status = 'done'");
  ck_assert_str_eq(rows, "1\n");
  free(rows);
}
END_TEST

/* A backup beside a folder is the same trial, and not the one that counts; a folder that was
 * renamed is taken in, and named. */
START_TEST(renamed_and_copied_folders) {
  expect_code(RUN_FAKE, 0, "done");
  shell(D "cp -a $D $D.bak && sed -i '$d' $D.bak/events.jsonl");
  expect_code("import --db r.db --out out", 0, ".bak: left out: the same trial as");
  expect_all_done();
  shell("rm -r out/exp/*.bak");
  shell(D "mv $D out/exp/best");
  expect_code("import --db r.db --out out", 0, "out/exp/best: `harness run` looks for this trial");
  expect_all_done();
  expect_rows("SELECT count(*) FROM trials WHERE folder = 'out/exp/best'", "1\n");
}
END_TEST

/* An import that was killed between two of its pieces: who reads the database is told, and the next
 * run or import takes in what is missing. */
START_TEST(a_cut_import_is_completed) {
  expect_code(RUN_FAKE, 0, "done");
  for (int by_run = 0; by_run < 2; by_run++) {
    shell("rm -f r.db");
    ck_assert_int_eq(harness("import --db r.db --out out"), 0);
    free(query_db("r.db", "INSERT INTO import VALUES (1)"));
    free(query_db("r.db", "DELETE FROM file_read"));
    free(query_db("r.db", "DELETE FROM step"));
    expect_code("status --db r.db", 0, "was cut short");
    if (by_run)
      expect_code(RUN_FAKE, 0, "took in 4 trials");
    else
      expect_code("import --db r.db --out out", 0, "4 trials");
    expect_rows("SELECT count(*), (SELECT count(*) FROM import) FROM step", "80|0\n");
    expect_all_done();
  }
}
END_TEST

START_TEST(leftovers_of_killed_writers_go) {
  shell("mkdir -p out/exp && touch out/exp/sweep.json.$(hostname)-999999.tmp "
        "out/exp/sweep.json.elsewhere-999999.tmp");
  expect_code(RUN_FAKE, 0, "done");
  shell("test ! -e out/exp/sweep.json.$(hostname)-999999.tmp && "
        "test -e out/exp/sweep.json.elsewhere-999999.tmp");
}
END_TEST

/* A closed database is one plain file; a damaged one is refused. */
START_TEST(the_database_is_whole_and_plain) {
  expect_code(RUN_FAKE, 0, "done");
  shell("test ! -e r.db-wal && test \"$(od -An -tu1 -j18 -N1 r.db | tr -d ' ')\" = 1");
  shell("truncate -s -4096 r.db");
  expect_code(RUN_FAKE, 4, "damaged");
}
END_TEST

static const struct {
  const char *words, *said;
} refusals[] = {
    {"run exp.ini --scale none --db r.db --out=", "--out is empty"},
    {"import --db= --out out", "--db is empty"},
    {"run exp.ini --scale none --db r.db --part 1/99999999999", "N at most"},
};

START_TEST(wrong_usage) {
  expect_code(refusals[_i].words, 2, refusals[_i].said);
}
END_TEST

static void write_picture(const char *split, int number, uint8_t shade) {
  uint8_t rgb[16 * 16 * 3];
  char path[64];
  Error e = {0};
  for (int i = 0; i < 16 * 16 * 3; i += 3) {
    rgb[i] = (uint8_t)(number * 9);
    rgb[i + 1] = shade;
    rgb[i + 2] = (uint8_t)number;
  }
  snprintf(path, sizeof path, "pics/%s/a/%d.png", split, number);
  ck_assert_msg(picture_write_png(path, rgb, 16, 16, &e), "%s", e.message);
}

/* Those of before are replaced. */
static void write_pictures(uint8_t shade) {
  shell("mkdir -p pics/train/a pics/val/a");
  for (int i = 0; i < 16; i++) write_picture("train", i, shade);
  for (int i = 0; i < 8; i++) write_picture("val", i, shade);
}

/* The real trainer: the same configuration on other images is another result. */
START_TEST(other_images_are_another_result) {
  scratch_write("exp.ini", "[experiment]\nquestion = ?\n[model]\nimage_size = 16\npatch_size = 4\n"
                           "encoder = 16x1x2\ndecoder = 16x1x2\n[train]\nbatch = 8\nsteps = 4\n"
                           "warmup_steps = 1\n[data]\nsource = imagefolder\npath = pics\n"
                           "cache = cache\n[eval]\nimages = 8\n[sweep]\nseeds = 1\n");
  for (int shade = 0; shade < 2; shade++) {
    write_pictures(shade ? 200 : 10);
    expect_code("run exp.ini --scale none --db r.db --out out --mae " REAL, 0,
                shade ? "it was trained on other images" : "done");
    expect_rows("SELECT count(*), count(DISTINCT dataset) FROM trials WHERE status = 'done'",
                "1|1\n");
  }
  expect_code("run exp.ini --scale none --db r.db --out out --mae " REAL, 0,
              "1 of 1 trials are done already");
  shell("ls -d out/exp/*/superseded-1/events.jsonl > names");
  /* Before any trial runs the images are packed, if need be, which may take long or wait for
   * others: Ctrl-C ends that. */
  shell("echo $(ls -t cache/*.pack | head -1).lock > name && rm cache/*");
  hold("$(cat name)");
  pid_t run = start_harness("run exp.ini --scale none --db r.db --out out --mae " REAL);
  wait_for("grep -q 'exp: 1 trial' log");
  kill(run, SIGINT);
  ck_assert_int_eq(scratch_wait(run), 128 + SIGINT);
  shell("touch free");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("bookkeeping");
  TCase *tc = tcase_create("bookkeeping");
  tcase_set_timeout(tc, 120);
  tcase_add_checked_fixture(tc, setup, scratch_teardown);
  tcase_add_loop_test(tc, damage_is_never_a_result, 0, sizeof damages / sizeof *damages);
  tcase_add_test(tc, a_note_is_of_the_file_as_it_is);
  tcase_add_test(tc, a_sweep_leaves_notes);
  tcase_add_test(tc, a_noted_file_is_not_read);
  tcase_add_test(tc, a_fresh_file_is_not_noted);
  tcase_add_test(tc, a_damaged_database_is_found);
  tcase_add_loop_test(tc, an_edited_description_is_left_out, 0, sizeof edits / sizeof *edits);
  tcase_add_test(tc, the_end_event_counts_whatever_the_exit);
  tcase_add_test(tc, a_double_start_finishes_once);
  tcase_add_test(tc, a_held_folder_is_left_for_later);
  tcase_add_test(tc, begun_anew_by_another_harness);
  tcase_add_test(tc, an_orphan_finishes_its_trial);
  tcase_add_test(tc, a_folder_that_cannot_be_locked);
  tcase_add_test(tc, a_removed_folder_moves_no_score);
  tcase_add_test(tc, copied_folders_keep_their_scores);
  tcase_add_test(tc, a_cut_file_is_read_anew);
  tcase_add_test(tc, a_deleted_folder_goes_with_the_next_import);
  tcase_add_loop_test(tc, one_bad_folder_blocks_no_import, 0, sizeof obstacles / sizeof *obstacles);
  tcase_add_test(tc, renamed_and_copied_folders);
  tcase_add_test(tc, a_cut_import_is_completed);
  tcase_add_test(tc, leftovers_of_killed_writers_go);
  tcase_add_test(tc, the_database_is_whole_and_plain);
  tcase_add_loop_test(tc, wrong_usage, 0, sizeof refusals / sizeof *refusals);
  TCase *images = tcase_create("images");
  tcase_set_timeout(images, 120);
  tcase_add_checked_fixture(images, setup, scratch_teardown);
  tcase_add_test(images, other_images_are_another_result);
  suite_add_tcase(suite, images);
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
