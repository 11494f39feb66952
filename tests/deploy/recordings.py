"""What the facts' commands print on machines of several kinds."""

PI_OS = """\
kernel Linux
machine aarch64
bits 64
libc glibc 2.36
system Debian GNU/Linux 12 (bookworm)
board Raspberry Pi 4 Model B Rev 1.4
uid 1000
login pi
home /home/pi
sudo free
systemd 252
python /usr/bin/python3 3.11 cpython 64
python /usr/bin/python3.11 3.11 cpython 64
cores 4
memory_kib 3885396
available_kib 3312040
disk 24117248 /opt
disk 24117248 /var
disk 24117248 /home/pi
time 1760000000
tool flock
tool tc
tool sha256sum
"""

PI_OS_32_BIT = """\
kernel Linux
machine aarch64
bits 32
libc glibc 2.36
system Raspbian GNU/Linux 12 (bookworm)
board Raspberry Pi 3 Model B Plus Rev 1.3
uid 1000
login pi
home /home/pi
sudo free
systemd 252
python /usr/bin/python3 3.11 cpython 32
cores 4
memory_kib 931404
"""

PI_OS_ARMV7 = PI_OS_32_BIT.replace("machine aarch64", "machine armv7l")

DEBIAN = """\
kernel Linux
machine x86_64
bits 64
libc glibc 2.36
system Debian GNU/Linux 12 (bookworm)
uid 0
login root
home /root
python /usr/bin/python3.11 3.11 cpython 64
cores 2
memory_kib 24684092
available_kib 23554808
disk 76352032 /opt
disk 76352032 /var
disk 76352032 /root
time 1795729404
tool flock
tool tc
tool sha256sum
"""

UBUNTU_22 = """\
kernel Linux
machine x86_64
bits 64
libc glibc 2.35
system Ubuntu 22.04.5 LTS
uid 1000
login ubuntu
home /home/ubuntu
sudo asks
systemd 249
python /usr/bin/python3 3.10 cpython 64
cores 16
memory_kib 65756880
available_kib 61000000
disk 400000000 /opt
disk 400000000 /var
disk 400000000 /home/ubuntu
time 1760000001
tool flock
tool tc
tool sha256sum
"""

ALPINE = """\
kernel Linux
machine x86_64
bits
libc
musl yes
system Alpine Linux v3.20
uid 0
login root
home /root
python /usr/bin/python3 3.12 cpython 64
cores 2
memory_kib 2000000
available_kib 1500000
disk 3000000 /opt
disk 3000000 /var
disk 3000000 /root
time 1760000002
tool flock
tool sha256sum
"""

PI_CONDITIONS = """\
throttled 0x50005
zone 84200 cpu-thermal
governor ondemand
governor ondemand
governor ondemand
governor ondemand
synchronised no
load 6.31
"""

CALM_CONDITIONS = """\
throttled 0x0
zone 48312 cpu-thermal
governor performance
synchronised yes
load 0.02
"""

PI_NETWORK = """\
ssh 192.168.1.5 51022 192.168.1.11 22
address lo 127.0.0.1/8
address eth0 192.168.1.11/24
address eth0 fd12::11/64
address wlan0 192.168.1.61/24
default eth0
interface eth0 up 1000 wired
interface lo unknown -1 wired
interface wlan0 up -1 wireless
listens 0.0.0.0:22
listens [::]:22
listens 127.0.0.1:631
qdisc qdisc noqueue 0: dev lo root refcnt 2
qdisc qdisc mq 0: dev eth0 root
qdisc qdisc netem 5f1a: dev wlan0 root refcnt 2 limit 100000 delay 20ms
kind sch_netem yes
kind sch_tbf unknown
firewall ufw active
firewall iptables drops
"""

INSTALLED = """\
folder /opt/splitfront
folder /opt/splitfront/releases
folder /var/lib/splitfront
release 0.1.0-0123456789
partial 0.2.0-abcdef0123
current 0.1.0-0123456789
confirmed 0.1.0-0123456789 aaaabbbbcc 127.0.0.1:50051 192.168.1.11
user yes
tls 33cc node.pem
tls 44dd ca.pem
tls 55ee revoked.pem
tls secret node.key
lasting yes
file 11aa /etc/systemd/system/splitfront-agent.service
kept /etc/systemd/system/splitfront-agent.service
wheel 22bb numpy-2.4.6-cp311-cp311-manylinux_2_28_aarch64.whl
active active
enabled enabled
pid 812
restarts 3
"""
