-- What the harness of schema 1 (commit 825ca9e) made of the folders of tests/fake_trials.h, by the
-- .dump of sqlite3, without the rows of t_quantile.
PRAGMA application_id = 1296123234;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE sweep (
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
INSERT INTO sweep VALUES(1,'m-cpu','mask_ratio','cpu','Which?','This.','There.','train.mask_ratio',replace('[sweep]\n','\n',char(10)),900.0);
CREATE TABLE planned (
  sweep INTEGER NOT NULL REFERENCES sweep,
  position INTEGER NOT NULL,
  config_hash TEXT NOT NULL,
  PRIMARY KEY (sweep, position)
) STRICT, WITHOUT ROWID;
INSERT INTO planned VALUES(1,0,'4218e56c35a2391c5734c79571cedae536e07c655f23dcdb4d56ba14455b31a8');
INSERT INTO planned VALUES(1,1,'2aaa29ef2a303576651cf823a254b6f7b4e2fc45fd2d269fac4734fd63c61680');
INSERT INTO planned VALUES(1,2,'e6d7abb5b7dbebe76f69541dcd21bfda153f45680f03691af9ae69c7672f8e2f');
INSERT INTO planned VALUES(1,3,'b21fca6f98aab76b9b9571f39bdbab71907ed57bfd7cba41ae995fd053256aec');
INSERT INTO planned VALUES(1,4,'df7daf2192e234750f03ad57f1da04cd662d68d649a217f780036219e53cc937');
INSERT INTO planned VALUES(1,5,'8b70f43119d4f00cb8f36e7e5672b793c9bb1f13a53bcc6f14cd18c9671f89fc');
CREATE TABLE trial (
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
INSERT INTO trial VALUES(1,1,'4218e56c35a2391c5734c79571cedae536e07c655f23dcdb4d56ba14455b31a8','152bd8c377c0ca8051086eff69cbcc95b44d30d39bfa9e6273865cf618a22c49',1,'train.mask_ratio=0.5 run.seed=1','m-cpu/r0.5-s1',1001.5);
INSERT INTO trial VALUES(2,1,'2aaa29ef2a303576651cf823a254b6f7b4e2fc45fd2d269fac4734fd63c61680','152bd8c377c0ca8051086eff69cbcc95b44d30d39bfa9e6273865cf618a22c49',2,'train.mask_ratio=0.5 run.seed=2','m-cpu/r0.5-s2',1002.5);
INSERT INTO trial VALUES(3,1,'e6d7abb5b7dbebe76f69541dcd21bfda153f45680f03691af9ae69c7672f8e2f','152bd8c377c0ca8051086eff69cbcc95b44d30d39bfa9e6273865cf618a22c49',3,'train.mask_ratio=0.5 run.seed=3','m-cpu/r0.5-s3',1003.4999999999999999);
INSERT INTO trial VALUES(4,1,'b21fca6f98aab76b9b9571f39bdbab71907ed57bfd7cba41ae995fd053256aec','dbd6120df8114d00ed95f6772f1a704232a53628b3caff2f70b72bbf8b15209e',1,'train.mask_ratio=0.75 run.seed=1','m-cpu/r0.75-s1',1004.4999999999999999);
INSERT INTO trial VALUES(5,1,'df7daf2192e234750f03ad57f1da04cd662d68d649a217f780036219e53cc937','dbd6120df8114d00ed95f6772f1a704232a53628b3caff2f70b72bbf8b15209e',2,'train.mask_ratio=0.75 run.seed=2','m-cpu/r0.75-s2',1005.5);
INSERT INTO trial VALUES(6,1,'8b70f43119d4f00cb8f36e7e5672b793c9bb1f13a53bcc6f14cd18c9671f89fc','dbd6120df8114d00ed95f6772f1a704232a53628b3caff2f70b72bbf8b15209e',3,'train.mask_ratio=0.75 run.seed=3','m-cpu/r0.75-s3',1006.5);
CREATE TABLE param (
  trial INTEGER NOT NULL REFERENCES trial,
  key TEXT NOT NULL, -- section.name
  value TEXT NOT NULL,
  swept INTEGER NOT NULL CHECK (swept IN (0, 1)),
  PRIMARY KEY (trial, key)
) STRICT, WITHOUT ROWID;
INSERT INTO param VALUES(1,'eval.seed','1',0);
INSERT INTO param VALUES(1,'model.decoder','96x2x3',0);
INSERT INTO param VALUES(1,'model.encoder','192x6x3',0);
INSERT INTO param VALUES(1,'model.pos_embed','sincos2d',0);
INSERT INTO param VALUES(1,'run.device','auto',0);
INSERT INTO param VALUES(1,'run.seed','1',1);
INSERT INTO param VALUES(1,'train.mask','random',0);
INSERT INTO param VALUES(1,'train.mask_ratio','0.5',1);
INSERT INTO param VALUES(1,'train.precision','fp32',0);
INSERT INTO param VALUES(2,'eval.seed','1',0);
INSERT INTO param VALUES(2,'model.decoder','96x2x3',0);
INSERT INTO param VALUES(2,'model.encoder','192x6x3',0);
INSERT INTO param VALUES(2,'model.pos_embed','sincos2d',0);
INSERT INTO param VALUES(2,'run.device','auto',0);
INSERT INTO param VALUES(2,'run.seed','2',1);
INSERT INTO param VALUES(2,'train.mask','random',0);
INSERT INTO param VALUES(2,'train.mask_ratio','0.5',1);
INSERT INTO param VALUES(2,'train.precision','fp32',0);
INSERT INTO param VALUES(3,'eval.seed','1',0);
INSERT INTO param VALUES(3,'model.decoder','96x2x3',0);
INSERT INTO param VALUES(3,'model.encoder','192x6x3',0);
INSERT INTO param VALUES(3,'model.pos_embed','sincos2d',0);
INSERT INTO param VALUES(3,'run.device','auto',0);
INSERT INTO param VALUES(3,'run.seed','3',1);
INSERT INTO param VALUES(3,'train.mask','random',0);
INSERT INTO param VALUES(3,'train.mask_ratio','0.5',1);
INSERT INTO param VALUES(3,'train.precision','fp32',0);
INSERT INTO param VALUES(4,'eval.seed','1',0);
INSERT INTO param VALUES(4,'model.decoder','96x2x3',0);
INSERT INTO param VALUES(4,'model.encoder','192x6x3',0);
INSERT INTO param VALUES(4,'model.pos_embed','sincos2d',0);
INSERT INTO param VALUES(4,'run.device','auto',0);
INSERT INTO param VALUES(4,'run.seed','1',1);
INSERT INTO param VALUES(4,'train.mask','random',0);
INSERT INTO param VALUES(4,'train.mask_ratio','0.75',1);
INSERT INTO param VALUES(4,'train.precision','fp32',0);
INSERT INTO param VALUES(5,'eval.seed','1',0);
INSERT INTO param VALUES(5,'model.decoder','96x2x3',0);
INSERT INTO param VALUES(5,'model.encoder','192x6x3',0);
INSERT INTO param VALUES(5,'model.pos_embed','sincos2d',0);
INSERT INTO param VALUES(5,'run.device','auto',0);
INSERT INTO param VALUES(5,'run.seed','2',1);
INSERT INTO param VALUES(5,'train.mask','random',0);
INSERT INTO param VALUES(5,'train.mask_ratio','0.75',1);
INSERT INTO param VALUES(5,'train.precision','fp32',0);
INSERT INTO param VALUES(6,'eval.seed','1',0);
INSERT INTO param VALUES(6,'model.decoder','96x2x3',0);
INSERT INTO param VALUES(6,'model.encoder','192x6x3',0);
INSERT INTO param VALUES(6,'model.pos_embed','sincos2d',0);
INSERT INTO param VALUES(6,'run.device','auto',0);
INSERT INTO param VALUES(6,'run.seed','3',1);
INSERT INTO param VALUES(6,'train.mask','random',0);
INSERT INTO param VALUES(6,'train.mask_ratio','0.75',1);
INSERT INTO param VALUES(6,'train.precision','fp32',0);
CREATE TABLE environment (
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
INSERT INTO environment VALUES('dae4d77a60a67e87e43c461064fd7d952b037912f63811ab6eeb5510a1017a11','1',NULL,NULL,NULL,'Test',NULL,NULL,'{"cpu":"Test","gpu":null,"threads":2,"version":"1"}');
CREATE TABLE dataset (
  dataset TEXT PRIMARY KEY, -- SHA-256 of the packed images
  source TEXT NOT NULL,
  train_images INTEGER NOT NULL,
  eval_images INTEGER NOT NULL,
  skipped INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO dataset VALUES('d','shapes',9,4,0);
CREATE TABLE launch (
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
INSERT INTO launch VALUES(1,1,2001.0,41,'cpu','here',2301.0,0,NULL,'done','');
INSERT INTO launch VALUES(2,1,2001.0,41,'cpu','here',2301.0,0,NULL,'done','');
INSERT INTO launch VALUES(3,1,2001.0,41,'cpu','here',2301.0,0,NULL,'done','');
INSERT INTO launch VALUES(4,1,2001.0,41,'cpu','here',2301.0,0,NULL,'done','');
INSERT INTO launch VALUES(5,1,2001.0,41,'cpu','here',2301.0,0,NULL,'done','');
INSERT INTO launch VALUES(6,1,2001.0,41,'cpu','here',2301.0,0,NULL,'done','');
CREATE TABLE attempt (
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
  PRIMARY KEY (trial, attempt)
) STRICT, WITHOUT ROWID;
INSERT INTO attempt VALUES(1,1,2001.0,2300.0,41,'dae4d77a60a67e87e43c461064fd7d952b037912f63811ab6eeb5510a1017a11','d','4218e56c35a2391c5734c79571cedae536e07c655f23dcdb4d56ba14455b31a8','b1',4,2.5,0,100,20,0.25,NULL,4096,301.0,0.10000000000000000555,0.089999999999999996669,0.2000000000000000111,110.0,3,1,2097152,'done',4,0,12.5,'s');
INSERT INTO attempt VALUES(2,1,2001.0,2300.0,41,'dae4d77a60a67e87e43c461064fd7d952b037912f63811ab6eeb5510a1017a11','d','2aaa29ef2a303576651cf823a254b6f7b4e2fc45fd2d269fac4734fd63c61680','b1',4,2.5,0,100,20,0.25,NULL,4096,302.0,0.10000000000000000555,0.089999999999999996669,0.2000000000000000111,110.0,3,1,2097152,'done',4,0,12.5,'s');
INSERT INTO attempt VALUES(3,1,2001.0,2300.0,41,'dae4d77a60a67e87e43c461064fd7d952b037912f63811ab6eeb5510a1017a11','d','e6d7abb5b7dbebe76f69541dcd21bfda153f45680f03691af9ae69c7672f8e2f','b1',4,2.5,0,100,20,0.25,NULL,4096,303.0,0.10000000000000000555,0.089999999999999996669,0.2000000000000000111,110.0,3,1,2097152,'done',4,0,12.5,'s');
INSERT INTO attempt VALUES(4,1,2001.0,2300.0,41,'dae4d77a60a67e87e43c461064fd7d952b037912f63811ab6eeb5510a1017a11','d','b21fca6f98aab76b9b9571f39bdbab71907ed57bfd7cba41ae995fd053256aec','b1',4,2.5,0,100,20,0.25,NULL,4096,301.0,0.10000000000000000555,0.089999999999999996669,0.2000000000000000111,110.0,3,1,2097152,'done',4,0,12.5,'s');
INSERT INTO attempt VALUES(5,1,2001.0,2300.0,41,'dae4d77a60a67e87e43c461064fd7d952b037912f63811ab6eeb5510a1017a11','d','df7daf2192e234750f03ad57f1da04cd662d68d649a217f780036219e53cc937','b1',4,2.5,0,100,20,0.25,NULL,4096,302.0,0.10000000000000000555,0.089999999999999996669,0.2000000000000000111,110.0,3,1,2097152,'done',4,0,12.5,'s');
INSERT INTO attempt VALUES(6,1,2001.0,2300.0,41,'dae4d77a60a67e87e43c461064fd7d952b037912f63811ab6eeb5510a1017a11','d','8b70f43119d4f00cb8f36e7e5672b793c9bb1f13a53bcc6f14cd18c9671f89fc','b1',4,2.5,0,100,20,0.25,NULL,4096,303.0,0.10000000000000000555,0.089999999999999996669,0.2000000000000000111,110.0,3,1,2097152,'done',4,0,12.5,'s');
CREATE TABLE step (
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
INSERT INTO step VALUES(1,1,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(1,2,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(1,3,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(1,4,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(2,1,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(2,2,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(2,3,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(2,4,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(3,1,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(3,2,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(3,3,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(3,4,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(4,1,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(4,2,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(4,3,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(4,4,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(5,1,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(5,2,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(5,3,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(5,4,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(6,1,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(6,2,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(6,3,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
INSERT INTO step VALUES(6,4,1,0.4000000000000000222,0.75,'finite',0.0010000000000000000208,1.5,'finite',1.0,0.10000000000000000555,320.0);
CREATE TABLE metric (
  trial INTEGER NOT NULL,
  source TEXT NOT NULL, -- model, or the trivial baseline: fill_mean, fill_harmonic
  step INTEGER NOT NULL, -- 0 for baselines, which do not train
  name TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  value REAL,
  kind TEXT NOT NULL CHECK (kind IN ('finite', 'nan', 'inf', '-inf', 'absent')),
  PRIMARY KEY (trial, source, step, name),
  FOREIGN KEY (trial, attempt) REFERENCES attempt (trial, attempt),
  CHECK ((kind = 'finite') = (value IS NOT NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO metric VALUES(1,'fill_mean',0,'images',1,4.0,'finite');
INSERT INTO metric VALUES(1,'fill_mean',0,'psnr_composite',1,13.75,'finite');
INSERT INTO metric VALUES(1,'fill_mean',0,'psnr_masked',1,12.5,'finite');
INSERT INTO metric VALUES(1,'fill_mean',0,'ssim_composite',1,0.4000000000000000222,'finite');
INSERT INTO metric VALUES(1,'model',4,'images',1,4.0,'finite');
INSERT INTO metric VALUES(1,'model',4,'loss',1,0.5,'finite');
INSERT INTO metric VALUES(1,'model',4,'perfect',1,0.0,'finite');
INSERT INTO metric VALUES(1,'model',4,'psnr_composite',1,19.0,'finite');
INSERT INTO metric VALUES(1,'model',4,'psnr_composite_pooled',1,18.0,'finite');
INSERT INTO metric VALUES(1,'model',4,'psnr_full',1,17.0,'finite');
INSERT INTO metric VALUES(1,'model',4,'psnr_full_pooled',1,16.0,'finite');
INSERT INTO metric VALUES(1,'model',4,'psnr_leaky',1,NULL,'absent');
INSERT INTO metric VALUES(1,'model',4,'psnr_masked',1,21.0,'finite');
INSERT INTO metric VALUES(1,'model',4,'psnr_masked_pooled',1,17.0,'finite');
INSERT INTO metric VALUES(1,'model',4,'ssim_composite',1,0.69999999999999995559,'finite');
INSERT INTO metric VALUES(1,'model',4,'ssim_full',1,0.59999999999999997779,'finite');
INSERT INTO metric VALUES(1,'model',4,'ssim_leaky',1,NULL,'absent');
INSERT INTO metric VALUES(2,'fill_mean',0,'images',1,4.0,'finite');
INSERT INTO metric VALUES(2,'fill_mean',0,'psnr_composite',1,13.75,'finite');
INSERT INTO metric VALUES(2,'fill_mean',0,'psnr_masked',1,12.5,'finite');
INSERT INTO metric VALUES(2,'fill_mean',0,'ssim_composite',1,0.4000000000000000222,'finite');
INSERT INTO metric VALUES(2,'model',4,'images',1,4.0,'finite');
INSERT INTO metric VALUES(2,'model',4,'loss',1,0.5,'finite');
INSERT INTO metric VALUES(2,'model',4,'perfect',1,0.0,'finite');
INSERT INTO metric VALUES(2,'model',4,'psnr_composite',1,19.0,'finite');
INSERT INTO metric VALUES(2,'model',4,'psnr_composite_pooled',1,18.0,'finite');
INSERT INTO metric VALUES(2,'model',4,'psnr_full',1,17.0,'finite');
INSERT INTO metric VALUES(2,'model',4,'psnr_full_pooled',1,16.0,'finite');
INSERT INTO metric VALUES(2,'model',4,'psnr_leaky',1,NULL,'absent');
INSERT INTO metric VALUES(2,'model',4,'psnr_masked',1,21.5,'finite');
INSERT INTO metric VALUES(2,'model',4,'psnr_masked_pooled',1,17.0,'finite');
INSERT INTO metric VALUES(2,'model',4,'ssim_composite',1,0.69999999999999995559,'finite');
INSERT INTO metric VALUES(2,'model',4,'ssim_full',1,0.59999999999999997779,'finite');
INSERT INTO metric VALUES(2,'model',4,'ssim_leaky',1,NULL,'absent');
INSERT INTO metric VALUES(3,'fill_mean',0,'images',1,4.0,'finite');
INSERT INTO metric VALUES(3,'fill_mean',0,'psnr_composite',1,13.75,'finite');
INSERT INTO metric VALUES(3,'fill_mean',0,'psnr_masked',1,12.5,'finite');
INSERT INTO metric VALUES(3,'fill_mean',0,'ssim_composite',1,0.4000000000000000222,'finite');
INSERT INTO metric VALUES(3,'model',4,'images',1,4.0,'finite');
INSERT INTO metric VALUES(3,'model',4,'loss',1,0.5,'finite');
INSERT INTO metric VALUES(3,'model',4,'perfect',1,0.0,'finite');
INSERT INTO metric VALUES(3,'model',4,'psnr_composite',1,19.0,'finite');
INSERT INTO metric VALUES(3,'model',4,'psnr_composite_pooled',1,18.0,'finite');
INSERT INTO metric VALUES(3,'model',4,'psnr_full',1,17.0,'finite');
INSERT INTO metric VALUES(3,'model',4,'psnr_full_pooled',1,16.0,'finite');
INSERT INTO metric VALUES(3,'model',4,'psnr_leaky',1,NULL,'absent');
INSERT INTO metric VALUES(3,'model',4,'psnr_masked',1,22.249999999999999999,'finite');
INSERT INTO metric VALUES(3,'model',4,'psnr_masked_pooled',1,17.0,'finite');
INSERT INTO metric VALUES(3,'model',4,'ssim_composite',1,0.69999999999999995559,'finite');
INSERT INTO metric VALUES(3,'model',4,'ssim_full',1,0.59999999999999997779,'finite');
INSERT INTO metric VALUES(3,'model',4,'ssim_leaky',1,NULL,'absent');
INSERT INTO metric VALUES(4,'fill_mean',0,'images',1,4.0,'finite');
INSERT INTO metric VALUES(4,'fill_mean',0,'psnr_composite',1,13.75,'finite');
INSERT INTO metric VALUES(4,'fill_mean',0,'psnr_masked',1,12.5,'finite');
INSERT INTO metric VALUES(4,'fill_mean',0,'ssim_composite',1,0.4000000000000000222,'finite');
INSERT INTO metric VALUES(4,'model',4,'images',1,4.0,'finite');
INSERT INTO metric VALUES(4,'model',4,'loss',1,0.5,'finite');
INSERT INTO metric VALUES(4,'model',4,'perfect',1,0.0,'finite');
INSERT INTO metric VALUES(4,'model',4,'psnr_composite',1,19.0,'finite');
INSERT INTO metric VALUES(4,'model',4,'psnr_composite_pooled',1,18.0,'finite');
INSERT INTO metric VALUES(4,'model',4,'psnr_full',1,17.0,'finite');
INSERT INTO metric VALUES(4,'model',4,'psnr_full_pooled',1,16.0,'finite');
INSERT INTO metric VALUES(4,'model',4,'psnr_leaky',1,NULL,'absent');
INSERT INTO metric VALUES(4,'model',4,'psnr_masked',1,18.0,'finite');
INSERT INTO metric VALUES(4,'model',4,'psnr_masked_pooled',1,17.0,'finite');
INSERT INTO metric VALUES(4,'model',4,'ssim_composite',1,0.69999999999999995559,'finite');
INSERT INTO metric VALUES(4,'model',4,'ssim_full',1,0.59999999999999997779,'finite');
INSERT INTO metric VALUES(4,'model',4,'ssim_leaky',1,NULL,'absent');
INSERT INTO metric VALUES(5,'fill_mean',0,'images',1,4.0,'finite');
INSERT INTO metric VALUES(5,'fill_mean',0,'psnr_composite',1,13.75,'finite');
INSERT INTO metric VALUES(5,'fill_mean',0,'psnr_masked',1,12.5,'finite');
INSERT INTO metric VALUES(5,'fill_mean',0,'ssim_composite',1,0.4000000000000000222,'finite');
INSERT INTO metric VALUES(5,'model',4,'images',1,4.0,'finite');
INSERT INTO metric VALUES(5,'model',4,'loss',1,0.5,'finite');
INSERT INTO metric VALUES(5,'model',4,'perfect',1,0.0,'finite');
INSERT INTO metric VALUES(5,'model',4,'psnr_composite',1,19.0,'finite');
INSERT INTO metric VALUES(5,'model',4,'psnr_composite_pooled',1,18.0,'finite');
INSERT INTO metric VALUES(5,'model',4,'psnr_full',1,17.0,'finite');
INSERT INTO metric VALUES(5,'model',4,'psnr_full_pooled',1,16.0,'finite');
INSERT INTO metric VALUES(5,'model',4,'psnr_leaky',1,NULL,'absent');
INSERT INTO metric VALUES(5,'model',4,'psnr_masked',1,18.75,'finite');
INSERT INTO metric VALUES(5,'model',4,'psnr_masked_pooled',1,17.0,'finite');
INSERT INTO metric VALUES(5,'model',4,'ssim_composite',1,0.69999999999999995559,'finite');
INSERT INTO metric VALUES(5,'model',4,'ssim_full',1,0.59999999999999997779,'finite');
INSERT INTO metric VALUES(5,'model',4,'ssim_leaky',1,NULL,'absent');
INSERT INTO metric VALUES(6,'fill_mean',0,'images',1,4.0,'finite');
INSERT INTO metric VALUES(6,'fill_mean',0,'psnr_composite',1,13.75,'finite');
INSERT INTO metric VALUES(6,'fill_mean',0,'psnr_masked',1,12.5,'finite');
INSERT INTO metric VALUES(6,'fill_mean',0,'ssim_composite',1,0.4000000000000000222,'finite');
INSERT INTO metric VALUES(6,'model',4,'images',1,4.0,'finite');
INSERT INTO metric VALUES(6,'model',4,'loss',1,0.5,'finite');
INSERT INTO metric VALUES(6,'model',4,'perfect',1,0.0,'finite');
INSERT INTO metric VALUES(6,'model',4,'psnr_composite',1,19.0,'finite');
INSERT INTO metric VALUES(6,'model',4,'psnr_composite_pooled',1,18.0,'finite');
INSERT INTO metric VALUES(6,'model',4,'psnr_full',1,17.0,'finite');
INSERT INTO metric VALUES(6,'model',4,'psnr_full_pooled',1,16.0,'finite');
INSERT INTO metric VALUES(6,'model',4,'psnr_leaky',1,NULL,'absent');
INSERT INTO metric VALUES(6,'model',4,'psnr_masked',1,19.0,'finite');
INSERT INTO metric VALUES(6,'model',4,'psnr_masked_pooled',1,17.0,'finite');
INSERT INTO metric VALUES(6,'model',4,'ssim_composite',1,0.69999999999999995559,'finite');
INSERT INTO metric VALUES(6,'model',4,'ssim_full',1,0.59999999999999997779,'finite');
INSERT INTO metric VALUES(6,'model',4,'ssim_leaky',1,NULL,'absent');
CREATE TABLE checkpoint (
  trial INTEGER NOT NULL,
  step INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  path TEXT NOT NULL,
  state_sha256 TEXT NOT NULL,
  PRIMARY KEY (trial, step),
  FOREIGN KEY (trial, attempt) REFERENCES attempt (trial, attempt)
) STRICT, WITHOUT ROWID;
CREATE TABLE artifact (
  trial INTEGER NOT NULL,
  kind TEXT NOT NULL, -- sheet, weights
  path TEXT NOT NULL, -- relative to the trial's folder when below it
  attempt INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (trial, kind, path),
  FOREIGN KEY (trial, attempt) REFERENCES attempt (trial, attempt)
) STRICT, WITHOUT ROWID;
INSERT INTO artifact VALUES(1,'sheet','sheet.png',1,'s',99);
INSERT INTO artifact VALUES(2,'sheet','sheet.png',1,'s',99);
INSERT INTO artifact VALUES(3,'sheet','sheet.png',1,'s',99);
INSERT INTO artifact VALUES(4,'sheet','sheet.png',1,'s',99);
INSERT INTO artifact VALUES(5,'sheet','sheet.png',1,'s',99);
INSERT INTO artifact VALUES(6,'sheet','sheet.png',1,'s',99);
CREATE TABLE message (
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
CREATE TABLE verification (
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
CREATE TABLE source (
  trial INTEGER NOT NULL REFERENCES trial,
  file TEXT NOT NULL,
  taken INTEGER NOT NULL,
  PRIMARY KEY (trial, file)
) STRICT, WITHOUT ROWID;
INSERT INTO source VALUES(1,'attempts.jsonl',169);
INSERT INTO source VALUES(1,'events.jsonl',1813);
INSERT INTO source VALUES(2,'attempts.jsonl',169);
INSERT INTO source VALUES(2,'events.jsonl',1815);
INSERT INTO source VALUES(3,'attempts.jsonl',169);
INSERT INTO source VALUES(3,'events.jsonl',1816);
INSERT INTO source VALUES(4,'attempts.jsonl',169);
INSERT INTO source VALUES(4,'events.jsonl',1813);
INSERT INTO source VALUES(5,'attempts.jsonl',169);
INSERT INTO source VALUES(5,'events.jsonl',1816);
INSERT INTO source VALUES(6,'attempts.jsonl',169);
INSERT INTO source VALUES(6,'events.jsonl',1813);
CREATE TABLE t_quantile (df INTEGER PRIMARY KEY, t975 REAL NOT NULL) STRICT;
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
    params_decoder, gflops_per_image, gflops_decoder_per_image, images_per_second,
    peak_memory_bytes, steps, last_step, state_sha256
  FROM attempt GROUP BY trial),
walls AS (
  SELECT trial, count(*) AS attempts, sum(coalesce(wall_seconds, last_event - started)) AS seconds
  FROM attempt GROUP BY trial),
launches AS (
  SELECT trial, max(launch) AS launch, status, device, error FROM launch GROUP BY trial),
state AS (
  SELECT trial.trial, CASE
      WHEN launches.trial IS NOT NULL THEN coalesce(launches.status, 'running')
      WHEN tries.trial IS NOT NULL THEN coalesce(tries.status, 'running')
      ELSE 'pending' END AS status
  FROM trial LEFT JOIN launches USING (trial) LEFT JOIN tries USING (trial)),
final AS (
  SELECT trial, max(step) AS step FROM metric JOIN state USING (trial)
  WHERE metric.source = 'model' AND state.status = 'done' GROUP BY trial),
scores AS (
  SELECT metric.trial,
    max(CASE name WHEN 'loss' THEN value END) AS loss,
    max(CASE name WHEN 'psnr_masked' THEN value END) AS psnr_masked,
    max(CASE name WHEN 'psnr_composite' THEN value END) AS psnr_composite,
    max(CASE name WHEN 'psnr_full' THEN value END) AS psnr_full,
    max(CASE name WHEN 'ssim_composite' THEN value END) AS ssim_composite,
    max(CASE name WHEN 'ssim_full' THEN value END) AS ssim_full,
    max(CASE name WHEN 'psnr_leaky' THEN value END) AS psnr_leaky,
    max(CASE name WHEN 'ssim_leaky' THEN value END) AS ssim_leaky,
    max(CASE name WHEN 'images' THEN CAST(value AS INTEGER) END) AS eval_images,
    group_concat(CASE WHEN kind NOT IN ('finite', 'absent') THEN name || '=' || kind END, ' ')
      AS nonfinite
  FROM metric JOIN final ON final.trial = metric.trial AND final.step = metric.step
  WHERE metric.source = 'model' GROUP BY metric.trial)
SELECT sweep.experiment, trial.trial, state.status, trial.seed, trial.swept, config.mask_ratio,
  config.encoder, config.decoder, config.pos_embed, config.precision,
  coalesce(nullif(launches.device, ''), config.device) AS device,
  scores.loss, scores.psnr_masked, scores.psnr_composite, scores.psnr_full,
  scores.ssim_composite, scores.ssim_full, scores.psnr_leaky, scores.ssim_leaky,
  tries.images_per_second, tries.peak_memory_bytes / 1048576.0 AS peak_memory_mb,
  tries.params_encoder + tries.params_decoder AS params, tries.gflops_per_image,
  walls.seconds AS wall_seconds, tries.gflops_decoder_per_image, config.decoder_pos_embed,
  config.mask, config.norm_pix, tries.steps, scores.eval_images, scores.nonfinite,
  CASE WHEN state.status <> 'done' THEN coalesce(nullif(launches.error, ''),
    (SELECT text FROM message WHERE message.trial = trial.trial AND level = 'error'
     ORDER BY offset DESC LIMIT 1)) END AS error,
  coalesce(walls.attempts, 0) AS attempts, dataset.source AS data_source, tries.dataset,
  coalesce(nullif(environment.gpu, ''), environment.cpu) AS processor, trial.config_hash,
  trial.point, tries.state_sha256, trial.folder,
  EXISTS (SELECT 1 FROM planned WHERE planned.sweep = trial.sweep
    AND planned.config_hash = trial.config_hash) AS planned
FROM trial JOIN sweep USING (sweep) JOIN state USING (trial)
  LEFT JOIN config USING (trial) LEFT JOIN tries USING (trial) LEFT JOIN walls USING (trial)
  LEFT JOIN launches USING (trial) LEFT JOIN scores USING (trial)
  LEFT JOIN dataset ON dataset.dataset = tries.dataset
  LEFT JOIN environment ON environment.environment = tries.environment
;
CREATE VIEW baselines AS
SELECT sweep.experiment, metric.trial, metric.source AS fill, trial.seed,
  (SELECT CAST(value AS REAL) FROM param
   WHERE param.trial = metric.trial AND key = 'train.mask_ratio') AS mask_ratio,
  max(CASE metric.name WHEN 'psnr_masked' THEN value END) AS psnr_masked,
  max(CASE metric.name WHEN 'psnr_composite' THEN value END) AS psnr_composite,
  max(CASE metric.name WHEN 'ssim_composite' THEN value END) AS ssim_composite,
  max(CASE metric.name WHEN 'images' THEN CAST(value AS INTEGER) END) AS images
FROM metric JOIN trial USING (trial) JOIN sweep USING (sweep)
WHERE metric.source <> 'model' GROUP BY metric.trial, metric.source;
CREATE VIEW points AS
WITH long AS (
  SELECT experiment, point, dataset, mask_ratio, encoder, decoder, pos_embed, precision, trial,
    planned, name, CASE name WHEN 'psnr_masked' THEN psnr_masked
      WHEN 'psnr_composite' THEN psnr_composite WHEN 'psnr_full' THEN psnr_full
      WHEN 'ssim_composite' THEN ssim_composite WHEN 'ssim_full' THEN ssim_full
      WHEN 'psnr_leaky' THEN psnr_leaky WHEN 'ssim_leaky' THEN ssim_leaky WHEN 'loss' THEN loss
      WHEN 'images_per_second' THEN images_per_second
      WHEN 'wall_seconds' THEN wall_seconds END AS value
  FROM trials, (SELECT column1 AS name FROM (VALUES ('psnr_masked'), ('psnr_composite'),
    ('psnr_full'), ('ssim_composite'), ('ssim_full'), ('psnr_leaky'), ('ssim_leaky'), ('loss'),
    ('images_per_second'), ('wall_seconds')))
  WHERE status = 'done'),
centred AS (
  SELECT *, avg(value) OVER (PARTITION BY experiment, point, dataset, name) AS mean
  FROM long WHERE value IS NOT NULL),
spread AS (
  SELECT *, count(*) AS n, min(value) AS least, max(value) AS most,
    CASE WHEN count(*) > 1
      THEN sqrt(sum((value - mean) * (value - mean)) / (count(*) - 1)) END AS sd
  FROM centred GROUP BY experiment, point, dataset, name)
SELECT experiment, (SELECT group_concat(key || '=' || value, ' ') FROM param
    WHERE param.trial = spread.trial AND swept = 1 AND key <> 'run.seed') AS settings,
  name AS metric, n, mean, sd,
  mean - t975 * sd / sqrt(n) AS low, mean + t975 * sd / sqrt(n) AS high, least, most,
  mask_ratio, encoder, decoder, pos_embed, precision, planned, point, dataset
FROM spread LEFT JOIN t_quantile ON df = min(n - 1, 100);
CREATE VIEW curves AS
SELECT sweep.experiment, trial.trial, trial.seed, trial.swept, series.step, series.quantity,
  series.value, series.kind
FROM (
  SELECT trial, step, 'train_loss' AS quantity, loss AS value, loss_kind AS kind FROM step
  UNION ALL SELECT trial, step, 'grad_norm', grad_norm, grad_norm_kind FROM step
  UNION ALL SELECT trial, step, 'lr', lr, iif(lr IS NULL, 'absent', 'finite') FROM step
  UNION ALL SELECT trial, step, 'images_per_second', images_per_second,
    iif(images_per_second IS NULL, 'absent', 'finite') FROM step
  UNION ALL SELECT trial, step, 'eval_' || name, value, kind FROM metric WHERE source = 'model'
) AS series JOIN trial USING (trial) JOIN sweep USING (sweep);
CREATE VIEW attempts AS
WITH pairs AS (
  SELECT trial, launch, pid FROM launch
  UNION ALL SELECT trial, NULL, pid FROM attempt
  WHERE NOT EXISTS (SELECT 1 FROM launch
    WHERE launch.trial = attempt.trial AND launch.pid = attempt.pid))
SELECT sweep.experiment, pairs.trial, pairs.launch, attempt.attempt,
  CASE WHEN pairs.launch IS NULL THEN coalesce(attempt.status, 'running')
    ELSE coalesce(launch.status, 'running') END AS status,
  coalesce(launch.time, attempt.started) AS started,
  coalesce(launch.ended, attempt.last_event) AS ended, pairs.pid, launch.device, launch.code,
  launch.signal, attempt.resumed_from, attempt.last_step, attempt.images_per_second,
  attempt.wall_seconds, attempt.binary_sha256, attempt.state_sha256, environment.git_commit,
  environment.cpu, environment.gpu, environment.hostname, environment.libraries, launch.error
FROM pairs JOIN trial USING (trial) JOIN sweep USING (sweep)
  LEFT JOIN launch ON launch.trial = pairs.trial AND launch.launch = pairs.launch
  LEFT JOIN attempt ON attempt.trial = pairs.trial AND attempt.pid = pairs.pid
  LEFT JOIN environment ON environment.environment = attempt.environment;
CREATE VIEW experiments AS
SELECT sweep.experiment, sweep.name, sweep.scale, sweep.question, sweep.expected, sweep.source,
  sweep.x, count(trials.trial) AS trials, coalesce(sum(trials.status = 'done'), 0) AS done
FROM sweep LEFT JOIN trials ON trials.experiment = sweep.experiment AND trials.planned = 1
GROUP BY sweep.sweep;
CREATE VIEW settings AS
SELECT sweep.experiment, trial.trial, param.key, param.value, param.swept
FROM param JOIN trial USING (trial) JOIN sweep USING (sweep);
CREATE VIEW artifacts AS
SELECT sweep.experiment, artifact.trial, artifact.kind, trial.folder, artifact.path,
  artifact.sha256, artifact.bytes
FROM artifact JOIN trial USING (trial) JOIN sweep USING (sweep);
COMMIT;
