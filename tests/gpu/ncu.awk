# ncu.awk - what ncu printed, as one line: of each kernel its place, duration, and the parts in use.
# A size is the number of blocks, which tells the encoder's launches from the decoder's.
# Exit status 1: there is no kernel.
/ Context [0-9]+, Stream / {
  name = $1
  sub(/<.*/, "", name)
  if (name == "void") name = $2
  sub(/[<(].*/, "", name)
  match($0, /\([0-9]+, [0-9]+, [0-9]+\)x/)
  split(substr($0, RSTART + 1), grid, ", ")
  text[++count] = name " of " grid[1] * grid[2] * grid[3] ":"
  next
}
/^ +Duration / { text[count] = text[count] " " $NF " " $(NF - 1) }
/^ +DRAM Throughput / { text[count] = text[count] ", DRAM " $NF "%" }
/^ +sm__pipe_tensor/ { text[count] = text[count] ", tensor " $NF "%" }
/^ +Achieved Occupancy / { text[count] = text[count] ", warps " $NF "%" }
END {
  for (i = 1; i <= count; i++) printf("%s%s", i > 1 ? "; " : "", text[i])
  exit !count
}
