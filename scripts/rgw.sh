#!/bin/sh
# A real S3 server for tests: Ceph's object gateway (RGW) as one monitor, one storage daemon and one gateway, all on
# loopback and in one scratch folder, without systemd and without any right on the machine.
#
#   scripts/rgw.sh start FOLDER     starts it and returns when it answers; prints where it is
#   scripts/rgw.sh stop FOLDER      ends it in good order and removes nothing
#   scripts/rgw.sh kill FOLDER      ends it as a power loss would
#
# `start` on a folder that was used before goes on with what is stored there (with bluestore). It needs what Debian and Ubuntu call
# radosgw, ceph-mon, ceph-osd and curl.
#
# From the environment: RGW_PORT (7480), RGW_MONITOR_PORT (16789), RGW_STORE (memstore: quick, gone when it ends;
# bluestore: on disk), RGW_SIZE_BYTES, RGW_ACCESS_KEY and RGW_SECRET_KEY, RGW_OWNER (a process id: when that process is
# gone, the server is ended and the folder removed).
set -eu

action=${1:?start, stop or kill}
folder=${2:?a folder}
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
port=${RGW_PORT:-7480}
monitor_port=${RGW_MONITOR_PORT:-16789}
store=${RGW_STORE:-memstore}
size_bytes=${RGW_SIZE_BYTES:-2147483648}
access_key=${RGW_ACCESS_KEY:-test-access}
secret_key=${RGW_SECRET_KEY:-test-secret-of-the-gateway}
settings=$folder/ceph.conf

fail() {
  echo "rgw.sh: $*" >&2
  tail -n 5 "$folder"/log/*.out >&2 2>/dev/null || true
  exit 1
}

# await SECONDS COMMAND...: until the command succeeds.
await() {
  tries=$(($1 * 20))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.05
  done
}

# A process that has ended counts as gone, whether or not somebody has asked for its last word.
is_gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }

# The gateway goes first, so that nobody writes to a storage daemon that is about to end.
end_all() {
  for name in gateway storage monitor; do
    [ -f "$folder/run/$name.pid" ] || continue
    pid=$(cat "$folder/run/$name.pid")
    kill -s "$1" "$pid" 2>/dev/null || true
    await 10 is_gone "$pid" || kill -s KILL "$pid" 2>/dev/null || true
    rm -f "$folder/run/$name.pid"
  done
}

write_settings() {
  cluster=$(cat /proc/sys/kernel/random/uuid)
  classes=$(dirname "$(find /usr/lib /usr/lib64 -name libcls_rgw.so 2>/dev/null | head -n 1)")
  cat >"$settings" <<SETTINGS
[global]
fsid = $cluster
mon_host = v2:127.0.0.1:$monitor_port
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr1 = false
ms_mon_client_mode = crc
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
log_file = $folder/log/\$name.log
run_dir = $folder/run
crash_dir = $folder/log
admin_socket = $folder/run/\$name.asok
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 2
osd_pool_default_pgp_num = 2
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
# After a sudden end nobody else can still be reading: there is no lease to wait for.
osd_pool_default_read_lease_ratio = 0.05

[mon]
mon_data = $folder/monitor
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_data_avail_warn = 2
mon_data_avail_crit = 1
mon_osd_nearfull_ratio = 0.97
mon_osd_backfillfull_ratio = 0.98
mon_osd_full_ratio = 0.99
# The monitor agrees only with itself: it need not wait for others before each step.
paxos_propose_interval = 0.05
paxos_min_wait = 0.01

[osd]
osd_data = $folder/storage
osd_objectstore = $store
osd_class_dir = $classes
memstore_device_bytes = $size_bytes
bluestore_block_size = $size_bytes
bluestore_block_create = true
bluestore_cache_autotune = false
bluestore_cache_size = 134217728

[client.rgw.a]
rgw_data = $folder/gateway
rgw_frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw_dns_name = localhost
rgw_thread_pool_size = 64
rgw_enable_usage_log = false
rgw_enable_ops_log = false
SETTINGS
}

# launch NAME COMMAND...: in the background, away from our streams.
launch() {
  name=$1
  shift
  nohup "$@" --conf "$settings" >>"$folder/log/$name.out" 2>&1 </dev/null &
  echo $! >"$folder/run/$name.pid"
}

command_of_cluster() { ceph --conf "$settings" --connect-timeout 5 "$@"; }

is_storage_up() { command_of_cluster osd stat | grep -q '1 up'; }

is_answering() { curl --silent --output /dev/null "http://127.0.0.1:$port/"; }

watch_owner() {
  (
    trap '' HUP
    while [ -f "$folder/run/gateway.pid" ]; do
      if is_gone "$1"; then
        end_all KILL
        rm -rf "$folder"
        exit
      fi
      sleep 0.5
    done
  ) >/dev/null 2>&1 </dev/null &
}

start() {
  new=0
  [ "$store" != memstore ] || [ ! -f "$settings" ] || fail "what a memstore holds ends with it: take a new folder"
  if [ ! -f "$settings" ]; then
    new=1
    mkdir -p "$folder/log" "$folder/run" "$folder/monitor" "$folder/storage" "$folder/gateway"
    write_settings
    {
      monmaptool --create --clobber --fsid "$cluster" --addv a "[v2:127.0.0.1:$monitor_port]" "$folder/monmap"
      ceph-mon --mkfs -i a --conf "$settings" --monmap "$folder/monmap"
    } >"$folder/log/monitor.out" 2>&1 || fail "the monitor could not be set up"
  fi
  launch monitor ceph-mon -f -i a
  await 30 command_of_cluster mon stat || fail "the monitor does not answer"
  if [ "$new" = 1 ]; then
    storage_id=$(cat /proc/sys/kernel/random/uuid)
    {
      command_of_cluster osd new "$storage_id"
      ceph-osd --mkfs -i 0 --conf "$settings" --osd-uuid "$storage_id"
    } >"$folder/log/storage.out" 2>&1 || fail "the storage daemon could not be set up"
  fi
  # After a sudden end the monitor still believes in the old one, and the gateway would wait for it.
  [ "$new" = 1 ] || command_of_cluster osd down 0 >"$folder/log/storage.out" 2>&1 || true
  launch storage ceph-osd -f -i 0
  await 60 is_storage_up || fail "the storage daemon does not come up"
  launch gateway radosgw -f -n client.rgw.a
  # The user is made while the gateway starts: both take seconds.
  if [ "$new" = 1 ]; then
    timeout 60 radosgw-admin -n client.rgw.a --conf "$settings" user create --uid=test --display-name=test \
      --access-key="$access_key" --secret-key="$secret_key" >"$folder/log/user.out" 2>&1 ||
      fail "the user could not be made"
  fi
  await 90 is_answering || fail "the gateway does not answer on port $port"
  [ -z "${RGW_OWNER:-}" ] || watch_owner "$RGW_OWNER"
  echo "http://127.0.0.1:$port"
}

case $action in
  start) start ;;
  stop) end_all TERM ;;
  kill) end_all KILL ;;
  *) fail "start, stop or kill, not $action" ;;
esac
