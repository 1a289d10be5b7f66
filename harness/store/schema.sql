-- schema.sql - results.db: the only statement of its tables and views, built into the harness.
--
-- The whole file may run again on an existing database: tables are made when missing, views are
-- replaced. PRAGMA user_version counts changes of the tables (see migrations in store.c).
-- Users read the views, at the end of this file; the tables behind them may change. A line with
-- {metric} or {baseline_metric} stands for one such line per metric (metrics.c).
--
-- Numbers that may be not finite are stored as a pair: NAME REAL, NULL unless finite, and
-- NAME_kind, which says what it was: finite, nan, inf, -inf, or absent (never measured).

-- One row per experiment and scale: what results/EXPERIMENT/sweep.json says.
CREATE TABLE IF NOT EXISTS sweep (
  sweep INTEGER PRIMARY KEY,
  experiment TEXT NOT NULL UNIQUE, -- name-scale, also the folder's name
  name TEXT NOT NULL,
  scale TEXT NOT NULL,
  question TEXT NOT NULL,
  expected TEXT NOT NULL,
  source TEXT NOT NULL,
  x TEXT NOT NULL, -- the swept key drawn on the x axis
  ini TEXT NOT NULL, -- the merged INI text of the newest plan
  created REAL NOT NULL -- seconds since 1970, UTC, as every time here
) STRICT;

-- The trials of an experiment's newest plan, in its order. A trial that an edited plan no longer
-- names stays in `trial` and leaves this list.
CREATE TABLE IF NOT EXISTS planned (
  sweep INTEGER NOT NULL REFERENCES sweep,
  position INTEGER NOT NULL,
  config_hash TEXT NOT NULL,
  PRIMARY KEY (sweep, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS trial (
  trial INTEGER PRIMARY KEY,
  sweep INTEGER NOT NULL REFERENCES sweep,
  config_hash TEXT NOT NULL,
  point TEXT NOT NULL, -- hash of the configuration without run.seed: equal for repetitions
  seed INTEGER NOT NULL,
  swept TEXT NOT NULL, -- "train.mask_ratio=0.75 run.seed=1"
  folder TEXT NOT NULL, -- relative to the database's folder when below it
  created REAL NOT NULL,
  UNIQUE (sweep, config_hash)
) STRICT;

-- Published numbers that an experiment is compared with: [paper] of its INI file (paper.h).
CREATE TABLE IF NOT EXISTS paper_source (
  sweep INTEGER PRIMARY KEY REFERENCES sweep,
  source TEXT NOT NULL, -- whose numbers they are
  compare TEXT NOT NULL -- metrics of ours between blanks: the first that was recorded counts
) STRICT;

CREATE TABLE IF NOT EXISTS paper_number (
  sweep INTEGER NOT NULL REFERENCES paper_source,
  position INTEGER NOT NULL, -- of the setting, in the paper's order
  setting TEXT NOT NULL, -- as the paper calls it
  series TEXT NOT NULL, -- finetuned, linear
  accuracy REAL NOT NULL, -- percent
  PRIMARY KEY (sweep, position, series)
) STRICT, WITHOUT ROWID;

-- Our values that stand for a setting of the paper, a row per key; none where nothing does.
CREATE TABLE IF NOT EXISTS paper_value (
  sweep INTEGER NOT NULL REFERENCES paper_source,
  position INTEGER NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (sweep, position, key)
) STRICT, WITHOUT ROWID;

-- How our order of the settings compares with the paper's. A bootstrap is no matter for SQL: the
-- harness fills it after a run and on an import; figures and tables read it.
CREATE TABLE IF NOT EXISTS paper_verdict (
  sweep INTEGER NOT NULL REFERENCES paper_source,
  series TEXT NOT NULL,
  metric TEXT, -- of ours; NULL: none of paper_source.compare was recorded
  verdict TEXT NOT NULL, -- agrees, contradicts, too few seeds to tell, nothing to compare
  tau REAL, -- Kendall's tau-b; NULL without an order
  low REAL, -- its 95% interval over seeds; NULL for single seeds
  high REAL,
  settings INTEGER NOT NULL, -- that both have
  text TEXT NOT NULL, -- all of it in a sentence
  PRIMARY KEY (sweep, series)
) STRICT, WITHOUT ROWID;

-- The interquartile mean of a point's seeds and its bootstrap interval, where there are more than
-- two; made anew as paper_verdict is.
CREATE TABLE IF NOT EXISTS point_iqm (
  sweep INTEGER NOT NULL REFERENCES sweep,
  point TEXT NOT NULL,
  dataset TEXT NOT NULL,
  metric TEXT NOT NULL,
  iqm REAL,
  low REAL,
  high REAL,
  PRIMARY KEY (sweep, point, dataset, metric)
) STRICT, WITHOUT ROWID;

-- What people said of a trial or, where `trial` is NULL, of an experiment (notes.json).
CREATE TABLE IF NOT EXISTS note (
  sweep INTEGER NOT NULL REFERENCES sweep,
  trial INTEGER REFERENCES trial,
  position INTEGER NOT NULL, -- from 1
  time REAL NOT NULL,
  text TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS tag (
  trial INTEGER NOT NULL REFERENCES trial,
  tag TEXT NOT NULL,
  PRIMARY KEY (trial, tag)
) STRICT, WITHOUT ROWID;

-- Every configuration value of a trial, and which of them the sweep varies.
CREATE TABLE IF NOT EXISTS param (
  trial INTEGER NOT NULL REFERENCES trial,
  key TEXT NOT NULL, -- section.name
  value TEXT NOT NULL,
  swept INTEGER NOT NULL CHECK (swept IN (0, 1)),
  PRIMARY KEY (trial, key)
) STRICT, WITHOUT ROWID;

-- What a run came from: the provenance object of a start event, stored once for all that share it.
CREATE TABLE IF NOT EXISTS environment (
  environment TEXT PRIMARY KEY, -- SHA-256 of `json`
  version TEXT,
  git_commit TEXT,
  compiler TEXT,
  libraries TEXT,
  cpu TEXT,
  gpu TEXT,
  hostname TEXT,
  json TEXT NOT NULL -- the whole object, keys sorted
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS dataset (
  dataset TEXT PRIMARY KEY, -- SHA-256 of the packed images
  source TEXT NOT NULL,
  train_images INTEGER NOT NULL,
  eval_images INTEGER NOT NULL,
  skipped INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A trainer process as the harness saw it (launches.jsonl).
CREATE TABLE IF NOT EXISTS launch (
  trial INTEGER NOT NULL REFERENCES trial,
  launch INTEGER NOT NULL, -- from 1
  time REAL NOT NULL,
  pid INTEGER NOT NULL,
  device TEXT NOT NULL,
  host TEXT NOT NULL,
  ended REAL, -- NULL while it runs
  code INTEGER, -- exit code, or NULL after a signal
  signal INTEGER,
  status TEXT CHECK (status IN ('done', 'interrupted', 'failed')), -- NULL while it runs
  error TEXT,
  PRIMARY KEY (trial, launch)
) STRICT, WITHOUT ROWID;

-- A trial that [prune] paused after a launch (prune.h); it counts until the next launch, and the
-- row goes when the rule no longer says so.
CREATE TABLE IF NOT EXISTS pruning (
  trial INTEGER NOT NULL REFERENCES trial,
  launch INTEGER NOT NULL,
  time REAL NOT NULL,
  step INTEGER NOT NULL, -- at which its setting was compared
  rule TEXT NOT NULL,
  metric TEXT NOT NULL,
  reason TEXT NOT NULL, -- all of it in words
  PRIMARY KEY (trial, launch)
) STRICT, WITHOUT ROWID;

-- A trainer process as it saw itself (the start, throughput and end events of events.jsonl).
CREATE TABLE IF NOT EXISTS attempt (
  trial INTEGER NOT NULL REFERENCES trial,
  attempt INTEGER NOT NULL, -- from 1; a process that died before its start event has none
  started REAL NOT NULL,
  last_event REAL NOT NULL, -- time of its newest event
  pid INTEGER NOT NULL,
  environment TEXT NOT NULL REFERENCES environment,
  dataset TEXT NOT NULL REFERENCES dataset,
  config_hash TEXT NOT NULL,
  binary_sha256 TEXT NOT NULL,
  steps INTEGER NOT NULL, -- of the whole run
  steps_per_epoch REAL NOT NULL,
  resumed_from INTEGER NOT NULL, -- step; 0: from scratch
  params_encoder INTEGER NOT NULL,
  params_decoder INTEGER NOT NULL,
  gflops_per_image REAL NOT NULL, -- one training step, forward and backward
  gflops_decoder_per_image REAL, -- the decoder's part of it
  memory_planned_bytes INTEGER,
  images_per_second REAL, -- steady state: warm-up and evaluation left out
  step_seconds_median REAL,
  step_seconds_p10 REAL,
  step_seconds_p90 REAL,
  gflops_per_second REAL,
  counted_steps INTEGER,
  warmup_steps INTEGER,
  peak_memory_bytes INTEGER,
  status TEXT CHECK (status IN ('done', 'interrupted', 'failed')), -- NULL without an end event
  last_step INTEGER,
  code INTEGER,
  wall_seconds REAL,
  state_sha256 TEXT, -- of the complete training state at the end
  probe_seconds REAL, -- what probes took, all together
  energy_source TEXT, -- nvml-counter, nvml-power, rapl; NULL: nothing could be read, or not always
  energy_joules REAL, -- of the device, since the attempt opened it
  energy_step_joules REAL, -- while training steps were computed, and
  energy_images INTEGER, -- the images of these steps
  energy_own_share REAL, -- rapl: of all busy processor time, the attempt's
  energy_others INTEGER, -- nvml: the most other processes seen on a GPU
  PRIMARY KEY (trial, attempt)
) STRICT, WITHOUT ROWID;

-- One row per training step. A resumed attempt replaces the steps after its checkpoint.
CREATE TABLE IF NOT EXISTS step (
  trial INTEGER NOT NULL,
  step INTEGER NOT NULL, -- from 1
  attempt INTEGER NOT NULL,
  epoch REAL,
  loss REAL,
  loss_kind TEXT NOT NULL CHECK (loss_kind IN ('finite', 'nan', 'inf', '-inf', 'absent')),
  lr REAL,
  grad_norm REAL,
  grad_norm_kind TEXT NOT NULL
    CHECK (grad_norm_kind IN ('finite', 'nan', 'inf', '-inf', 'absent')),
  loss_scale REAL,
  seconds REAL,
  images_per_second REAL,
  PRIMARY KEY (trial, step),
  FOREIGN KEY (trial, attempt) REFERENCES attempt (trial, attempt),
  CHECK ((loss_kind = 'finite') = (loss IS NOT NULL)),
  CHECK ((grad_norm_kind = 'finite') = (grad_norm IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- One row per number of an evaluation. `absent` rows say that a metric of the protocol does not
-- exist here (the leak-free ones of a norm_pix model, for instance).
CREATE TABLE IF NOT EXISTS metric (
  trial INTEGER NOT NULL,
  scorer TEXT NOT NULL, -- a name of scorer_kind, or of a newer program's
  step INTEGER NOT NULL, -- 0 for baselines, which do not train
  name TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  value REAL,
  kind TEXT NOT NULL CHECK (kind IN ('finite', 'nan', 'inf', '-inf', 'absent')),
  PRIMARY KEY (trial, scorer, step, name),
  FOREIGN KEY (trial, attempt) REFERENCES attempt (trial, attempt),
  CHECK ((kind = 'finite') = (value IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- What the numbers are: the list in mae/evaluate/metrics.h as of the program that opened the
-- database last, and what a run costs.
CREATE TABLE IF NOT EXISTS metric_kind (
  name TEXT PRIMARY KEY,
  position INTEGER NOT NULL, -- in tables
  unit TEXT NOT NULL, -- dB, images/s, ..., or empty
  better INTEGER NOT NULL, -- 1: higher is, -1: lower is
  digits INTEGER NOT NULL, -- decimals in tables
  needs TEXT NOT NULL, -- of a scorer: loss, hidden, full, leaky (metrics.h); run: a cost
  wide INTEGER NOT NULL, -- 1: a column of `trials`
  headline INTEGER NOT NULL, -- 1: told while a run goes on, and in figures
  quantity TEXT NOT NULL, -- psnr of psnr_masked
  leading INTEGER NOT NULL, -- 1: the first headline metric of its quantity
  meaning TEXT NOT NULL,
  title TEXT NOT NULL -- words for an axis, without the unit
) STRICT, WITHOUT ROWID;

-- What is scored on the held-out images: the list in mae/evaluate/scorers.h.
CREATE TABLE IF NOT EXISTS scorer_kind (
  name TEXT PRIMARY KEY,
  position INTEGER NOT NULL,
  baseline INTEGER NOT NULL, -- 1: depends on no weights
  title TEXT NOT NULL -- words for a figure
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS checkpoint (
  trial INTEGER NOT NULL,
  step INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  path TEXT NOT NULL,
  state_sha256 TEXT NOT NULL,
  PRIMARY KEY (trial, step),
  FOREIGN KEY (trial, attempt) REFERENCES attempt (trial, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS artifact (
  trial INTEGER NOT NULL,
  kind TEXT NOT NULL, -- sheet, weights
  path TEXT NOT NULL, -- relative to the trial's folder when below it
  attempt INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (trial, kind, path),
  FOREIGN KEY (trial, attempt) REFERENCES attempt (trial, attempt)
) STRICT, WITHOUT ROWID;

-- Warnings and errors of the trainer.
CREATE TABLE IF NOT EXISTS message (
  trial INTEGER NOT NULL,
  offset INTEGER NOT NULL, -- bytes into events.jsonl
  attempt INTEGER NOT NULL,
  time REAL NOT NULL,
  level TEXT NOT NULL CHECK (level IN ('warning', 'error')),
  code INTEGER,
  text TEXT NOT NULL,
  PRIMARY KEY (trial, offset),
  FOREIGN KEY (trial, attempt) REFERENCES attempt (trial, attempt)
) STRICT, WITHOUT ROWID;

-- Outcomes of `harness verify` (verify-*.jsonl).
CREATE TABLE IF NOT EXISTS verification (
  trial INTEGER NOT NULL REFERENCES trial,
  file TEXT NOT NULL,
  offset INTEGER NOT NULL,
  time REAL NOT NULL,
  asked TEXT NOT NULL, -- the class asked for: bitwise, numerical, statistical
  class TEXT NOT NULL, -- the class proved; empty when none was
  outcome TEXT NOT NULL CHECK (outcome IN ('match', 'mismatch')),
  steps INTEGER,
  first_step INTEGER, -- the first that differs
  first_tensor TEXT,
  detail TEXT NOT NULL,
  PRIMARY KEY (trial, file, offset)
) STRICT, WITHOUT ROWID;

-- How far each file has been read: lines that begin before `taken` are in the tables.
CREATE TABLE IF NOT EXISTS file_read (
  trial INTEGER NOT NULL REFERENCES trial,
  file TEXT NOT NULL,
  taken INTEGER NOT NULL,
  line_at INTEGER NOT NULL DEFAULT 0, -- where the newest of these lines begins,
  mark TEXT NOT NULL DEFAULT '', -- and the first 16 digits of its SHA-256: is it the same file?
  PRIMARY KEY (trial, file)
) STRICT, WITHOUT ROWID;

-- A row while an import is under way: one that was killed leaves it, and trials may be missing.
CREATE TABLE IF NOT EXISTS import (
  unfinished INTEGER PRIMARY KEY CHECK (unfinished = 1)
) STRICT;

-- Student's t: the 97.5% quantile, for two-sided 95% intervals. A test holds it to
-- stats_t_quantile. More than 100 degrees of freedom use the row of 100, which is wider.
CREATE TABLE IF NOT EXISTS t_quantile (df INTEGER PRIMARY KEY, t975 REAL NOT NULL) STRICT;
INSERT OR REPLACE INTO t_quantile VALUES
  (1,12.7062047), (2,4.30265273), (3,3.18244631), (4,2.77644511), (5,2.57058184), (6,2.44691185),
  (7,2.36462425), (8,2.30600414), (9,2.26215716), (10,2.22813885), (11,2.20098516),
  (12,2.17881283), (13,2.16036866), (14,2.14478669), (15,2.13144955), (16,2.1199053),
  (17,2.10981558), (18,2.10092204), (19,2.09302405), (20,2.08596345), (21,2.07961384),
  (22,2.07387307), (23,2.06865761), (24,2.06389856), (25,2.05953855), (26,2.05552944),
  (27,2.05183052), (28,2.04840714), (29,2.04522964), (30,2.04227246), (31,2.03951345),
  (32,2.03693334), (33,2.0345153), (34,2.03224451), (35,2.03010793), (36,2.028094),
  (37,2.02619246), (38,2.02439416), (39,2.02269091), (40,2.02107538), (41,2.01954096),
  (42,2.0180817), (43,2.01669219), (44,2.01536757), (45,2.01410338), (46,2.0128956),
  (47,2.01174051), (48,2.01063475), (49,2.00957523), (50,2.00855911), (51,2.00758377),
  (52,2.0066468), (53,2.00574599), (54,2.00487929), (55,2.00404478), (56,2.00324072),
  (57,2.00246546), (58,2.00171748), (59,2.00099538), (60,2.00029782), (61,1.99962358),
  (62,1.99897152), (63,1.99834054), (64,1.99772965), (65,1.99713791), (66,1.99656442),
  (67,1.99600835), (68,1.99546893), (69,1.99494541), (70,1.99443711), (71,1.99394337),
  (72,1.99346357), (73,1.99299713), (74,1.99254349), (75,1.99210215), (76,1.99167261),
  (77,1.9912544), (78,1.99084707), (79,1.99045021), (80,1.99006342), (81,1.98968632),
  (82,1.98931856), (83,1.98895978), (84,1.98860967), (85,1.98826791), (86,1.98793421),
  (87,1.98760828), (88,1.98728986), (89,1.9869787), (90,1.98667454), (91,1.98637715),
  (92,1.98608632), (93,1.98580181), (94,1.98552344), (95,1.985251), (96,1.98498431),
  (97,1.98472319), (98,1.98446745), (99,1.98421695), (100,1.98397152);

-- Views ---------------------------------------------------------------------------------------

-- trials: one row per trial.
--   status   pending, running, interrupted, failed, pruned (paused by [prune], with its checkpoint)
--            or done
--   planned  1 when the experiment's newest plan names it
--   metrics  of the last evaluation of a trial that is done, on the held-out images; NULL before.
--            The view `metrics` says what each is.
--   nonfinite  metrics that were measured and are not numbers, as "psnr_masked=nan"; their columns
--            are NULL
--   wall_seconds  over all attempts, a killed one counted up to its last event; probe_seconds: what
--            probes took of them
--   gflops_per_image  of one training step; peak_memory_mb in 2^20 bytes
--   images_per_second  from the median time of the last attempt's steps; step_seconds_p10, _p90:
--            the times that a tenth of the steps stayed below and went beyond
--   speed_note  why images_per_second may not be the machine's at rest: "resumed" (more than one
--            attempt), "busy" (step_seconds_p90 over 1.5 x the median); NULL: no reason is known
--   energy_kwh  of the GPUs or processor packages that trained, over all attempts with their
--            evaluations and probes, a killed one up to its last energy event; joules_per_image: of
--            training steps alone, per image. NULL: nothing could be read
--   energy_source  what measured (nvml-counter, nvml-power, rapl)
--   energy_note  why they are NULL although something was read: "in part" (not in every attempt, so
--            that there is no sum), "shared" (others computed on the device, so that what the trial
--            took of it is not known)
DROP VIEW IF EXISTS trials;
CREATE VIEW trials AS
WITH config AS (
  SELECT trial,
    max(CASE key WHEN 'train.mask_ratio' THEN CAST(value AS REAL) END) AS mask_ratio,
    max(CASE key WHEN 'train.mask' THEN value END) AS mask,
    max(CASE key WHEN 'train.norm_pix' THEN value END) AS norm_pix,
    max(CASE key WHEN 'model.encoder' THEN value END) AS encoder,
    max(CASE key WHEN 'model.decoder' THEN value END) AS decoder,
    max(CASE key WHEN 'model.pos_embed' THEN value END) AS pos_embed,
    max(CASE key WHEN 'model.decoder_pos_embed' THEN value END) AS decoder_pos_embed,
    max(CASE key WHEN 'train.precision' THEN value END) AS precision,
    max(CASE key WHEN 'run.device' THEN value END) AS device
  FROM param GROUP BY trial),
tries AS ( -- "max" with bare columns: SQLite takes them from the row of the maximum
  SELECT trial, max(attempt) AS attempt, status, environment, dataset, params_encoder,
    params_decoder, gflops_per_image, gflops_decoder_per_image,
    peak_memory_bytes, steps, last_step, state_sha256
  FROM attempt GROUP BY trial),
speeds AS ( -- of the attempt that timed the most steps: the last one may have had none left
  SELECT trial, max(counted_steps) AS counted, images_per_second, step_seconds_median,
    step_seconds_p10, step_seconds_p90
  FROM attempt WHERE images_per_second IS NOT NULL GROUP BY trial),
walls AS (
  SELECT trial, count(*) AS attempts, sum(coalesce(wall_seconds, last_event - started)) AS seconds,
    sum(probe_seconds) AS probe_seconds
  FROM attempt GROUP BY trial),
energies AS (
  SELECT trial, count(energy_source) = count(*) AS whole, sum(energy_joules) AS joules,
    sum(energy_step_joules) / nullif(sum(energy_images), 0) AS joules_per_image,
    min(energy_own_share) AS own_share, max(energy_others) AS others,
    coalesce(min(CASE WHEN energy_source = 'rapl' AND energy_joules IS NOT NULL
      THEN coalesce(energy_own_share, 0) END) >= 0.9, 1) -- ENERGY_ALONE in mae/train/report.h
      AND coalesce(max(energy_others) = 0, 1) AS alone,
    group_concat(DISTINCT energy_source) AS source
  FROM attempt GROUP BY trial HAVING sum(energy_joules) IS NOT NULL),
launches AS (
  SELECT trial, max(launch) AS launch, status, device, error FROM launch GROUP BY trial),
state AS (
  SELECT trial.trial, pruning.reason, CASE
      -- The trainer's own end counts, whatever became of its process or of a later launch; and
      -- a launch that ended well counts for nothing without it.
      WHEN tries.status = 'done' THEN 'done'
      WHEN launches.status = 'done' THEN 'failed'
      WHEN pruning.trial IS NOT NULL THEN 'pruned'
      WHEN launches.trial IS NOT NULL THEN coalesce(launches.status, 'running')
      WHEN tries.trial IS NOT NULL THEN coalesce(tries.status, 'running')
      ELSE 'pending' END AS status
  FROM trial LEFT JOIN launches USING (trial) LEFT JOIN tries USING (trial)
    LEFT JOIN pruning USING (trial, launch)),
final AS (
  SELECT trial, max(step) AS step FROM metric JOIN state USING (trial)
  WHERE metric.scorer = 'model' AND state.status = 'done' GROUP BY trial),
scores AS (
  SELECT metric.trial,
    max(CASE name WHEN '{metric}' THEN value END) AS {metric},
    max(CASE WHEN name = 'images' AND scorer = 'model' THEN CAST(value AS INTEGER) END)
      AS eval_images,
    group_concat(CASE WHEN kind NOT IN ('finite', 'absent') THEN name || '=' || kind END, ' ')
      AS nonfinite
  FROM metric JOIN final ON final.trial = metric.trial AND final.step = metric.step
  WHERE metric.scorer IN ('model', 'probe') GROUP BY metric.trial)
SELECT sweep.experiment, trial.trial, state.status, trial.seed, trial.swept, config.mask_ratio,
  config.encoder, config.decoder, config.pos_embed, config.precision,
  coalesce(nullif(launches.device, ''), config.device) AS device,
  scores.{metric},
  speeds.images_per_second, tries.peak_memory_bytes / 1048576.0 AS peak_memory_mb,
  tries.params_encoder + tries.params_decoder AS params, tries.gflops_per_image,
  walls.seconds AS wall_seconds, tries.gflops_decoder_per_image, config.decoder_pos_embed,
  config.mask, config.norm_pix, tries.steps, scores.eval_images, scores.nonfinite,
  CASE WHEN state.status = 'pruned' THEN state.reason
    WHEN state.status <> 'done' THEN coalesce(nullif(launches.error, ''),
    (SELECT text FROM message WHERE message.trial = trial.trial AND level = 'error'
     ORDER BY offset DESC LIMIT 1),
    CASE WHEN launches.status = 'done' THEN 'its event file does not say that it finished: damaged, '
      || 'cut or missing' END) END AS error,
  coalesce(walls.attempts, 0) AS attempts, dataset.source AS data_source, tries.dataset,
  coalesce(nullif(environment.gpu, ''), environment.cpu) AS processor, trial.config_hash,
  trial.point, tries.state_sha256, trial.folder,
  EXISTS (SELECT 1 FROM planned WHERE planned.sweep = trial.sweep
    AND planned.config_hash = trial.config_hash) AS planned,
  speeds.step_seconds_median, speeds.step_seconds_p10, speeds.step_seconds_p90,
  nullif(ltrim(iif(walls.attempts > 1, ', resumed', '')
    || iif(step_seconds_p90 > 1.5 * step_seconds_median,
      printf(', busy: p90 of a step''s time is %.1f x its median',
        step_seconds_p90 / step_seconds_median), ''), ', '), '') AS speed_note,
  walls.probe_seconds,
  (SELECT group_concat(tag, ' ') FROM (SELECT tag FROM tag WHERE tag.trial = trial.trial
    ORDER BY tag)) AS tags,
  (SELECT group_concat(text, '; ') FROM (SELECT text FROM note WHERE note.trial = trial.trial
    ORDER BY position)) AS notes,
  iif(alone, energies.joules_per_image, NULL) AS joules_per_image,
  iif(alone AND energies.whole, energies.joules / 3.6e6, NULL) AS energy_kwh,
  energies.source AS energy_source,
  nullif(ltrim(iif(energies.whole = 0, ', in part: an attempt was not measured', '')
    || iif(alone = 0, printf(', shared: %s; the device took %.3g kWh in all',
      CASE WHEN energies.others > 0 THEN 'other processes on the GPU'
        WHEN own_share IS NULL THEN 'how much of the processor time was its own is not known'
        ELSE printf('%.0f%% of the busy processor time was its own', 100 * own_share) END,
      energies.joules / 3.6e6), ''), ', '), '') AS energy_note
FROM trial JOIN sweep USING (sweep) JOIN state USING (trial)
  LEFT JOIN config USING (trial) LEFT JOIN tries USING (trial) LEFT JOIN walls USING (trial)
  LEFT JOIN speeds USING (trial) LEFT JOIN energies USING (trial)
  LEFT JOIN launches USING (trial) LEFT JOIN scores USING (trial)
  LEFT JOIN dataset ON dataset.dataset = tries.dataset
  LEFT JOIN environment ON environment.environment = tries.environment
ORDER BY trial.trial;

-- scorers: what is scored on the held-out images; baseline: 1 when it depends on no weights.
DROP VIEW IF EXISTS scorers;
CREATE VIEW scorers AS SELECT * FROM scorer_kind ORDER BY position;

-- metrics: what each number is called, its unit, whether higher is better (1) or lower (-1).
DROP VIEW IF EXISTS metrics;
CREATE VIEW metrics AS SELECT * FROM metric_kind ORDER BY position;

-- baselines: what the model is to be compared with, scored by the same code on the same images (and
-- masks): one row per trial and baseline (fill: its name). Fills reconstruct; pixels, random and
-- chance tell classes.
DROP VIEW IF EXISTS baselines;
CREATE VIEW baselines AS
SELECT sweep.experiment, metric.trial, metric.scorer AS fill, trial.seed,
  (SELECT CAST(value AS REAL) FROM param
   WHERE param.trial = metric.trial AND key = 'train.mask_ratio') AS mask_ratio,
  max(CASE metric.name WHEN '{baseline_metric}' THEN value END) AS {baseline_metric},
  max(CASE metric.name WHEN 'images' THEN CAST(value AS INTEGER) END) AS images
FROM metric JOIN scorer_kind ON scorer_kind.name = metric.scorer AND baseline
  JOIN trial USING (trial) JOIN sweep USING (sweep)
GROUP BY metric.trial, metric.scorer;

-- baseline_scores: the numbers of `baselines` in long form.
DROP VIEW IF EXISTS baseline_scores;
CREATE VIEW baseline_scores AS
SELECT sweep.experiment, metric.trial, metric.scorer AS baseline, metric.name AS metric,
  metric.value, (SELECT CAST(value AS REAL) FROM param
    WHERE param.trial = metric.trial AND key = 'train.mask_ratio') AS mask_ratio
FROM metric JOIN scorer_kind ON scorer_kind.name = metric.scorer AND baseline
  JOIN metric_kind ON metric_kind.name = metric.name AND wide
  JOIN trial USING (trial) JOIN sweep USING (sweep);

-- scores: the numbers of `trials` in long form: one row per trial that is done and metric, with
-- what makes its point. Another scorer's numbers than the model's and the probe's are called
-- SCORER_METRIC.
DROP VIEW IF EXISTS scores;
CREATE VIEW scores AS
WITH finished AS (
  SELECT experiment, trial, seed, point, dataset, mask_ratio, encoder, decoder, pos_embed,
    precision, planned, images_per_second, wall_seconds, joules_per_image, energy_kwh,
    peak_memory_mb
  FROM trials WHERE status = 'done'),
numbers AS (
  SELECT trial, iif(scorer IN ('model', 'probe'), name, scorer || '_' || name) AS metric, value
  FROM metric JOIN metric_kind USING (name)
  WHERE wide AND kind <> 'absent'
    AND scorer NOT IN (SELECT name FROM scorer_kind WHERE baseline)
    AND step = (SELECT max(step) FROM metric AS other
      WHERE other.trial = metric.trial AND other.scorer = metric.scorer)
  UNION ALL SELECT trial, 'images_per_second', images_per_second FROM finished
  UNION ALL SELECT trial, 'wall_seconds', wall_seconds FROM finished
  UNION ALL SELECT trial, 'joules_per_image', joules_per_image FROM finished
    WHERE joules_per_image IS NOT NULL
  UNION ALL SELECT trial, 'energy_kwh', energy_kwh FROM finished WHERE energy_kwh IS NOT NULL
  UNION ALL SELECT trial, 'peak_memory_mb', peak_memory_mb FROM finished
    WHERE peak_memory_mb IS NOT NULL)
SELECT experiment, trial, seed, metric, value, point, dataset, mask_ratio, encoder, decoder,
  pos_embed, precision, planned
FROM finished JOIN numbers USING (trial);

-- points: mean over seeds of each metric at each point (trials that share every setting but the
-- seed, and the data set), of trials that are done. sd: standard deviation with n - 1; low, high:
-- the 95% interval of the mean by Student's t, NULL for one seed. iqm: the interquartile mean;
-- iqm_low, iqm_high: its 95% interval by bootstrap; NULL for fewer than three seeds and while the
-- experiment runs. planned: 1 when any of its seeds is in the newest plan.
DROP VIEW IF EXISTS points;
CREATE VIEW points AS
WITH centred AS (
  SELECT *, avg(value) OVER seeds AS mean, max(planned) OVER seeds AS any_planned
  FROM scores WHERE value IS NOT NULL
  WINDOW seeds AS (PARTITION BY experiment, point, dataset, metric)),
spread AS (
  SELECT *, count(*) AS n, min(value) AS least, max(value) AS most,
    CASE WHEN count(*) > 1
      THEN sqrt(sum((value - mean) * (value - mean)) / (count(*) - 1)) END AS sd
  FROM centred GROUP BY experiment, point, dataset, metric)
SELECT experiment, (SELECT group_concat(key || '=' || value, ' ') FROM param
    WHERE param.trial = spread.trial AND swept = 1 AND key <> 'run.seed') AS settings,
  metric, n, mean, sd,
  mean - t975 * sd / sqrt(n) AS low, mean + t975 * sd / sqrt(n) AS high, least, most,
  mask_ratio, encoder, decoder, pos_embed, precision, any_planned AS planned, point, dataset, iqm,
  iqm_low, iqm_high
FROM spread LEFT JOIN t_quantile ON df = min(n - 1, 100)
  LEFT JOIN (SELECT sweep.experiment, point, dataset, metric, iqm, low AS iqm_low, high AS iqm_high
    FROM point_iqm JOIN sweep USING (sweep)) USING (experiment, point, dataset, metric);

-- curves: every number with a step on its axis: quantity is train_loss, lr, grad_norm or
-- images_per_second of a training step, or eval_NAME of an evaluation (eval_SCORER_NAME when it is
-- neither the model's nor the probe's).
DROP VIEW IF EXISTS curves;
CREATE VIEW curves AS
SELECT sweep.experiment, trial.trial, trial.seed, trial.swept, series.step, series.quantity,
  series.value, series.kind
FROM (
  SELECT trial, step, 'train_loss' AS quantity, loss AS value, loss_kind AS kind FROM step
  UNION ALL SELECT trial, step, 'grad_norm', grad_norm, grad_norm_kind FROM step
  UNION ALL SELECT trial, step, 'lr', lr, iif(lr IS NULL, 'absent', 'finite') FROM step
  UNION ALL SELECT trial, step, 'images_per_second', images_per_second,
    iif(images_per_second IS NULL, 'absent', 'finite') FROM step
  UNION ALL SELECT trial, step, 'eval_' || iif(scorer IN ('model', 'probe'), '', scorer || '_') || name,
    value,
    kind FROM metric WHERE scorer NOT IN (SELECT name FROM scorer_kind WHERE baseline)
) AS series JOIN trial USING (trial) JOIN sweep USING (sweep);

-- attempts: every trainer process the harness started, with what it said about itself; those
-- started by hand have no launch number.
DROP VIEW IF EXISTS attempts;
CREATE VIEW attempts AS
WITH pairs AS (
  SELECT trial, launch, pid FROM launch
  UNION ALL SELECT trial, NULL, pid FROM attempt
  WHERE NOT EXISTS (SELECT 1 FROM launch
    WHERE launch.trial = attempt.trial AND launch.pid = attempt.pid
      AND attempt.started BETWEEN launch.time - 1 AND coalesce(launch.ended, 9e9) + 1))
SELECT sweep.experiment, pairs.trial, pairs.launch, attempt.attempt,
  CASE WHEN pairs.launch IS NULL THEN coalesce(attempt.status, 'running')
    ELSE coalesce(launch.status, 'running') END AS status,
  coalesce(launch.time, attempt.started) AS started,
  coalesce(launch.ended, attempt.last_event) AS ended, pairs.pid, launch.device, launch.code,
  launch.signal, attempt.resumed_from, attempt.last_step, attempt.images_per_second,
  attempt.wall_seconds, attempt.binary_sha256, attempt.state_sha256, environment.git_commit,
  environment.cpu, environment.gpu, environment.hostname, environment.libraries, launch.error,
  attempt.energy_source, attempt.energy_joules
FROM pairs JOIN trial USING (trial) JOIN sweep USING (sweep)
  LEFT JOIN launch ON launch.trial = pairs.trial AND launch.launch = pairs.launch
  -- Containers use process numbers again: the time tells which of them it was.
  LEFT JOIN attempt ON attempt.trial = pairs.trial AND attempt.pid = pairs.pid
    AND (launch.launch IS NULL
      OR attempt.started BETWEEN launch.time - 1 AND coalesce(launch.ended, 9e9) + 1)
  LEFT JOIN environment ON environment.environment = attempt.environment;

-- experiments: one row per experiment and scale. trials, done: of its newest plan.
DROP VIEW IF EXISTS experiments;
CREATE VIEW experiments AS
SELECT sweep.experiment, sweep.name, sweep.scale, sweep.question, sweep.expected, sweep.source,
  sweep.x, count(trials.trial) AS trials, coalesce(sum(trials.status = 'done'), 0) AS done,
  (SELECT group_concat(text, '; ') FROM (SELECT text FROM note WHERE note.sweep = sweep.sweep
    AND note.trial IS NULL ORDER BY position)) AS notes
FROM sweep LEFT JOIN trials ON trials.experiment = sweep.experiment AND trials.planned = 1
GROUP BY sweep.sweep;

-- settings: every configuration value of every trial as text; swept: 1 when the sweep varies it.
DROP VIEW IF EXISTS settings;
CREATE VIEW settings AS
SELECT sweep.experiment, trial.trial, param.key, param.value, param.swept
FROM param JOIN trial USING (trial) JOIN sweep USING (sweep);

-- artifacts: the files a trial left; path is taken from `folder`, unless it begins with /, and
-- `folder` from the database's folder, unless it does.
DROP VIEW IF EXISTS artifacts;
CREATE VIEW artifacts AS
SELECT sweep.experiment, artifact.trial, artifact.kind, trial.folder, artifact.path,
  artifact.sha256, artifact.bytes
FROM artifact JOIN trial USING (trial) JOIN sweep USING (sweep);

-- paper: the published numbers beside an experiment: one row per setting of the paper and series.
--   accuracy  in percent, of the paper's model on its data
--   ours      what stands for the setting here, as "train.mask=random train.mask_ratio=0.75"; NULL
--             when nothing does
--   compare   metrics of ours that it is compared with: the first that was recorded counts
DROP VIEW IF EXISTS paper;
CREATE VIEW paper AS
SELECT sweep.experiment, paper_number.position, paper_number.setting, paper_number.series,
  paper_number.accuracy, (SELECT group_concat(key || '=' || value, ' ') FROM paper_value
    WHERE paper_value.sweep = sweep.sweep AND paper_value.position = paper_number.position) AS ours,
  paper_source.source, paper_source.compare
FROM paper_number JOIN paper_source USING (sweep) JOIN sweep USING (sweep);

-- paper_trials: the trials that stand for a setting of the paper.
DROP VIEW IF EXISTS paper_trials;
CREATE VIEW paper_trials AS
SELECT sweep.experiment, paper_value.position, trial.trial
FROM paper_value JOIN sweep USING (sweep) JOIN trial USING (sweep)
  JOIN param ON param.trial = trial.trial AND param.key = paper_value.key
GROUP BY sweep.sweep, paper_value.position, trial.trial
HAVING min(param.value = paper_value.value) = 1;

-- paper_verdicts: whether our order of the settings is the paper's, as of the last run or import:
-- one row per experiment and series of the paper.
DROP VIEW IF EXISTS paper_verdicts;
CREATE VIEW paper_verdicts AS
SELECT sweep.experiment, series, metric, verdict, tau, low, high, settings, text
FROM paper_verdict JOIN sweep USING (sweep);
