process=$4 lock=$5
idle=0
while :; do
  sleep 0.5
  # Somebody has ended it already.
  [ -d "$1" ] || exit 0
  if [ -n "$process" ]; then
    [ -d "/proc/$process" ] && continue
    enough=1
  else
    enough=40
  fi
  [ -z "$lock" ] && break
  exec 9>"$lock"
  if flock --nonblock --exclusive 9; then
    idle=$((idle + 1))
    # Held until all is removed: who comes then starts another.
    [ $idle -ge $enough ] && break
  else
    idle=0
  fi
  exec 9>&-
done
