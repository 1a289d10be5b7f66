/* files.h - what lies in the folders of a sweep and of a trial, and where a trial can stand:
 *
 *   OUT/EXPERIMENT/sweep.json           format (1), experiment (the folder's name), name, scale,
 *                                       question, expected, source, x, ini (the merged INI),
 *                                       created (seconds, kept when rewritten), trials: [the config
 *                                       hash of every trial of the newest plan, in its order],
 *                                       and, of an experiment with published numbers (paper.h),
 *                                       paper: {"source","keys": [key],"compare": [metric],
 *                                       "settings": [{"setting","ours": [a value of each key] or
 *                                       [],"finetuned","linear" (percent; may be absent)}]}
 *   OUT/EXPERIMENT/TRIAL/trial.json     format (1), id, experiment, config_hash, seed, created,
 *                                       swept: {"section.key": "canonical text", ...} in order
 *   OUT/EXPERIMENT/notes.json           and beside trial.json: tags and notes (notes.h)
 *   OUT/EXPERIMENT/TRIAL/config.ini     the full configuration, as given to `mae train`
 *   OUT/EXPERIMENT/TRIAL/events.jsonl   written by the trainer (mae/record/events.h)
 *   OUT/EXPERIMENT/TRIAL/launches.jsonl written by the harness, every line with event and time:
 *                                       {"event":"launch","time","launch" (from 1),"pid","device",
 *                                       "host"} and {"event":"exit","time","launch","code",
 *                                       "signal","status","error"}; code or signal may be null,
 *                                       status is done | interrupted | failed, error may be "";
 *                                       {"event":"kept","time","step","keep","file","sha256",
 *                                       "freed"} before files of the last checkpoint are removed:
 *                                       run.keep, what stays of them (may be ""), bytes of the rest
 *                                       {"event":"pruned","time","launch" (the newest), "step",
 *                                       "rule","metric","reason"}: [prune] paused the trial, until
 *                                       its next launch or {"event":"unpruned","time","launch"}
 *                                       It was called attempts.jsonl once; a folder may have both,
 *                                       and then the old one's launches come first
 *   OUT/EXPERIMENT/TRIAL/stderr.log     the trainer's standard error
 *   OUT/EXPERIMENT/TRIAL/verify-*.jsonl {"event":"verification","time","class" (proved, "" when
 *                                       none),"asked","outcome" (match | mismatch),"steps",
 *                                       "first_step","first_tensor","detail"}
 *
 * (EXPERIMENT is the plan's name with the scale appended, TRIAL is the first 12 hex digits of the
 * config hash.) */
#ifndef HARNESS_TRIAL_FILES_H
#define HARNESS_TRIAL_FILES_H

/* The event files of a trial, in the order in which they are read; the first are about launches,
 * the last of those is the one that is written. */
enum { TRIAL_LAUNCH_FILES = 2, TRIAL_FILES };
extern const char *const trial_files[TRIAL_FILES];

typedef enum TrialStatus {
  TRIAL_PENDING,
  TRIAL_RUNNING,
  TRIAL_INTERRUPTED,
  TRIAL_FAILED,
  TRIAL_PRUNED, /* paused by [prune], with its checkpoint */
  TRIAL_DONE
} TrialStatus;
const char *trial_status_name(TrialStatus);

#endif
