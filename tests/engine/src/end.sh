folder=$1 cgroup=$2 bridge=$3
case $folder in /*/*) ;; *) exit 1 ;; esac
PATH=$PATH:/usr/sbin:/sbin
pid=$(cat "$folder/docker.pid" 2>/dev/null)
if [ -n "$pid" ] && grep -qs dockerd "/proc/$pid/cmdline"; then
  # With live-restore off it ends its containers before itself.
  echo '{"live-restore":false}' >"$folder/daemon.json"
  kill -CONT "$pid"
  kill -HUP "$pid"
  sleep 0.3
  kill -TERM "$pid"
  tries=0
  while [ -d "/proc/$pid" ] && [ $tries -lt 150 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null
fi
# What an engine that was killed has left: containers by their cgroup, helpers by the folder in their command line.
for procs in /sys/fs/cgroup/*"$cgroup"/*/cgroup.procs /sys/fs/cgroup"$cgroup"/*/cgroup.procs; do
  [ -e "$procs" ] && while read -r left; do kill -KILL "$left" 2>/dev/null; done <"$procs"
done
for line in /proc/[0-9]*/cmdline; do
  process=${line#/proc/}
  process=${process%/cmdline}
  if { tr '\0' ' ' <"$line"; } 2>/dev/null | grep -qE "^[^ ]*(containerd|containerd-shim[^ ]*|docker-proxy|dockerd) .*$folder/"; then
    kill -KILL "$process" 2>/dev/null
  fi
done
sleep 0.1
grep -o " $folder/[^ ]*" /proc/mounts | sort -r | while read -r mount; do umount -l "$mount" 2>/dev/null; done
for group in /sys/fs/cgroup/*"$cgroup" /sys/fs/cgroup"$cgroup"; do
  [ -d "$group" ] && find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
done
[ -n "$bridge" ] && ip link delete "$bridge" 2>/dev/null
rm -rf "$folder"
exit 0
