#!/bin/busybox sh
# The first process of a testbed host. It is given FOLDER (of this host, on the machine below), NAME, ADDRESS (with the
# length of its prefix) and GATEWAY.
#
# Of the machine below the host shares /usr, which it cannot write to. All else is its own and in its memory.
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
b=/bin/busybox

if [ "$1" != booted ]; then
  root=/mnt
  $b mount -t tmpfs -o mode=0755,size=80% root $root
  for name in /bin /sbin /lib*; do
    if [ -L "$name" ]; then $b cp -P "$name" "$root$name"; else $b mkdir "$root$name"; $b mount --bind "$name" "$root$name"; fi
  done
  $b mkdir -p "$root/usr" "$root/etc"
  $b mount --bind /usr "$root/usr"
  $b cp -a /etc/. "$root/etc"
  $b rm -rf "$root"/etc/ssh/ssh_host_* "$root"/etc/systemd/system/splitfront*
  $b cp "$FOLDER/boot.sh" "$FOLDER/host_key" "$FOLDER/authorized_keys" "$FOLDER/sshd_config" "$root/etc/ssh"
  cd $root
  $b mkdir -p dev proc sys run/sshd run/lock home opt srv media mnt/below root tmp var/lib var/log var/cache var/tmp
  $b mkdir -p var/spool usr
  $b chmod 1777 tmp var/tmp
  $b chmod 0700 root etc/ssh/host_key
  $b ln -s ../run var/run
  $b pivot_root . mnt/below
  exec $b chroot . $b sh /etc/ssh/boot.sh booted
fi

$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts devpts /dev/pts
$b mount -t tmpfs -o mode=1777 shm /dev/shm
$b ln -s /proc/self/fd /dev/fd
for number in 0:stdin 1:stdout 2:stderr; do $b ln -s "/proc/self/fd/${number%:*}" "/dev/${number#*:}"; done
for module in sch_netem sch_tbf; do $b insmod "/usr/lib/uml/modules/$(uname -r)/kernel/net/sched/$module.ko"; done
$b umount -l /mnt/below
$b rmdir /mnt/below
$b hostname "$NAME"
echo "$NAME" >/etc/hostname
printf '127.0.0.1 localhost\n%s %s\n' "${ADDRESS%/*}" "$NAME" >/etc/hosts
$b ip link set lo up
$b ip address add "$ADDRESS" dev vec0
# Those at the other ends have room for packets of the usual size only, not for those that are cut later.
/sbin/ip link set vec0 gso_max_segs 1 up
$b ip route add default via "$GATEWAY"

/usr/sbin/sshd -D -e -f /etc/ssh/sshd_config &
# Every process whose parent has ended is this one's child, and has to be waited for.
while :; do wait || :; done
