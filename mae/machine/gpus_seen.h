/* gpus_seen.h - the GPUs of this machine in a line, for people. */
#ifndef MAE_MACHINE_GPUS_SEEN_H
#define MAE_MACHINE_GPUS_SEEN_H

enum { GPUS_SEEN_MAX = 1024 };

/* "0: Tesla T4, 15.0 GiB; 1: Tesla T4, 15.0 GiB; driver 535.104.05", whatever CUDA_VISIBLE_DEVICES
 * shows, with why this program cannot use them when it cannot; or "no GPU: " and why. Asked by a
 * process of its own, which is given a few seconds: a driver that hangs or crashes is an answer
 * too. */
void gpus_seen(char text[GPUS_SEEN_MAX]);

#endif
