/* The counter as the first process of a virtual machine: what the tests move about, and ask while it moves.
 *
 * GET /next appends "N CRC\n" to /data/log (CRC: the CRC-32 of the text N, 8 hex digits), makes it durable and only
 * then answers N; GET /n answers the last N. GET /mark?TEXT writes TEXT over the file `mark` beside the log, in place and
 * durably, and GET /mark answers it; GET /fill?N makes a file `fill` of N random bytes. GET /memory?TEXT keeps TEXT in
 * memory only, GET /memory answers it. GET /busy has a process write to memory without end, and answers how many pages it
 * found not as it had left them. Without its disk it answers 503 to the others: the disk may come at any time.
 * The kernel's command line says who it is: meghdwar.address=A and meghdwar.disk=SERIAL:LOCATION.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char memory[256], serial[64], location[128], device[64], log_path[160];
static int log_file = -1;
static unsigned long last;

static unsigned crc32_of(const char *text) {
    unsigned crc = ~0u;
    for (; *text; text++) {
        crc ^= (unsigned char)*text;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

static int read_text(const char *path, char *text, int size) {
    int file = open(path, O_RDONLY), got = file < 0 ? -1 : (int)read(file, text, size - 1);
    if (file >= 0) close(file);
    text[got > 0 ? got : 0] = 0;
    return got;
}

/* Whether the disk with our serial is there; `device` is set to where. */
static int disk_is_there(void) {
    char path[300], found[64];
    DIR *folder = opendir("/sys/block");
    struct dirent *entry;
    int there = 0;
    while (folder && !there && (entry = readdir(folder))) {
        if (strncmp(entry->d_name, "vd", 2)) continue;
        snprintf(path, sizeof path, "/sys/block/%s/serial", entry->d_name);
        if (read_text(path, found, sizeof found) > 0 && (found[strcspn(found, "\n")] = 0, !strcmp(found, serial))) {
            snprintf(device, sizeof device, "/dev/%.32s", entry->d_name);
            there = 1;
        }
    }
    if (folder) closedir(folder);
    return there;
}

/* A disk that was never written to gets a file system; whatever else is on it stays as it is. */
static void format_when_blank(void) {
    static char head[65536];
    int file = open(device, O_RDONLY), blank = file >= 0 && read(file, head, sizeof head) == sizeof head;
    for (unsigned i = 0; blank && i < sizeof head; i++) blank = !head[i];
    if (file >= 0) close(file);
    if (!blank) return;
    pid_t child = fork();
    if (!child) {
        execl("/sbin/mke2fs", "mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=1,lazy_journal_init=1",
              device, (char *)NULL);
        _exit(127);
    }
    waitpid(child, NULL, 0);
}

static void let_go(void) {
    if (log_file >= 0) close(log_file);
    log_file = -1;
    umount2(location, MNT_DETACH);
}

static void take_hold(void) {
    char tail[64];
    if (log_file >= 0) {
        struct stat there;
        if (!stat(device, &there)) return;
        let_go();
    }
    if (!disk_is_there()) return;
    format_when_blank();
    mkdir(location, 0755);
    if (mount(device, location, "ext4", MS_NOATIME, "") && errno != EBUSY) {
        perror("mount");
        return;
    }
    log_file = open(log_path, O_RDWR | O_CREAT | O_APPEND, 0644);
    off_t size = log_file < 0 ? 0 : lseek(log_file, 0, SEEK_END), from = size > 63 ? size - 63 : 0;
    int got = size ? (int)pread(log_file, tail, sizeof tail - 1, from) : 0;
    /* a line that a crash cut off was never acknowledged: it goes */
    while (got > 0 && tail[got - 1] != '\n') got--;
    if (log_file >= 0 && from + got != size && ftruncate(log_file, from + got)) perror("truncate");
    int start = got ? got - 1 : 0;
    while (start > 0 && tail[start - 1] != '\n') start--;
    tail[got] = 0;
    last = got ? strtoul(tail + start, NULL, 10) : 0;
    if (log_file >= 0) printf("COUNTER at %lu\n", last);
}

static int next(void) {
    char number[32], line[64];
    snprintf(number, sizeof number, "%lu", last + 1);
    int size = snprintf(line, sizeof line, "%s %08x\n", number, crc32_of(number));
    if (write(log_file, line, size) != size || fsync(log_file)) {
        perror("write");
        let_go();
        return 0;
    }
    last++;
    return 1;
}

/* Opens a file beside the log. */
static int beside(const char *name, int flags) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", location, name);
    return open(path, flags, 0644);
}

static int mark(const char *text) {
    int file = beside("mark", O_WRONLY | O_CREAT), size = (int)strlen(text);
    int good = file >= 0 && pwrite(file, text, size, 0) == size && !ftruncate(file, size) && !fsync(file);
    if (file >= 0) close(file);
    return good;
}

static int read_mark(char *text, int size) {
    int file = beside("mark", O_RDONLY), got = file < 0 ? -1 : (int)read(file, text, size - 1);
    if (file >= 0) close(file);
    text[got > 0 ? got : 0] = 0;
    return got >= 0;
}

static int fill(long size) {
    static char some[1 << 16];
    int file = beside("fill", O_WRONLY | O_CREAT | O_TRUNC), good = file >= 0;
    for (long left = size; good && left > 0; left -= sizeof some) {
        long part = left < (long)sizeof some ? left : (long)sizeof some;
        for (long at = 0; at < part; at += 256) good &= getrandom(some + at, 256, 0) > 0;
        good &= write(file, some, part) == part;
    }
    good = good && !fsync(file);
    if (file >= 0) close(file);
    return good;
}

/* The same few pages over and over: who copies memory while it is written to must not lose sight of them. */
static unsigned long busy(void) {
    enum { PAGES = 200, WORDS = 4096 / sizeof(long) };
    static volatile unsigned long *lost;
    if (lost) return *lost;
    lost = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fork()) return 0;
    close_range(3, ~0u, 0); /* whoever asked waits for the end of the answer */
    volatile unsigned long *page = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned long round = 1;; round++)
        for (int i = 0; i < PAGES; i++) {
            *lost += page[i * WORDS] != round - 1;
            page[i * WORDS] = round;
        }
}

/* Does what is asked for; the answer is in `body`. Returns the status. */
static const char *serve(char *path, char *body, int size) {
    char *rest = strchr(path, '?');
    if (rest) *rest++ = 0;
    if (!strcmp(path, "/memory")) {
        if (rest) snprintf(memory, sizeof memory, "%s", rest);
        snprintf(body, size, "%s", memory);
        return "200 OK";
    }
    if (!strcmp(path, "/busy")) {
        snprintf(body, size, "%lu", busy());
        return "200 OK";
    }
    take_hold();
    if (log_file < 0) return "503 Service Unavailable";
    int good = 1;
    snprintf(body, size, "%s", rest ? rest : "");
    if (!strcmp(path, "/next") || !strcmp(path, "/n")) {
        good = path[2] == 0 || next();
        snprintf(body, size, "%lu", last);
    } else if (!strcmp(path, "/mark")) {
        good = rest ? mark(rest) : read_mark(body, size);
    } else if (!strcmp(path, "/fill") && rest) {
        good = fill(atol(rest));
    } else {
        return "404 Not Found";
    }
    return good ? "200 OK" : "503 Service Unavailable";
}

/* Callers who are in the middle of asking. One whose request never comes, because it is on another gateway's side of a
 * move, must not keep the others waiting. */
#define CALLERS 200
static struct caller {
    int socket, got;
    time_t since;
    char request[1024];
} callers[CALLERS];
static int calling;

static void hang_up(int number) {
    close(callers[number].socket);
    callers[number] = callers[--calling];
}

static void take_callers(int server) {
    int client;
    while ((client = accept4(server, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (calling == CALLERS) hang_up(0);
        callers[calling++] = (struct caller){.socket = client, .since = time(NULL)};
    }
}

static void answer(struct caller *caller) {
    char body[1024] = "", reply[2048], *path = caller->request + 4;
    if (strncmp(caller->request, "GET ", 4)) path = caller->request + caller->got;
    path[strcspn(path, " \r\n")] = 0;
    const char *status = serve(path, body, sizeof body);
    if (*status != '2') *body = 0;
    int size = snprintf(reply, sizeof reply, "HTTP/1.0 %s\r\nContent-Length: %d\r\n\r\n%s", status,
                        (int)strlen(body), body);
    if (send(caller->socket, reply, size, MSG_NOSIGNAL) < 0) perror("send");
}

/* Takes what has come from a caller; whether that was all, or nothing more comes. */
static int hear(struct caller *caller) {
    int room = (int)sizeof caller->request - 1 - caller->got;
    int more = (int)recv(caller->socket, caller->request + caller->got, room, 0);
    if (more < 0 && errno == EAGAIN) return time(NULL) - caller->since > 5;
    if (more <= 0 || more == room) return 1;
    caller->got += more;
    caller->request[caller->got] = 0;
    if (!strstr(caller->request, "\r\n\r\n")) return 0;
    answer(caller);
    return 1;
}

/* A guest that has only just begun has to wait seconds for random numbers; ours need not be good. */
static void have_entropy(void) {
    struct { int bits, size; char some[64]; } given = {512, 64, "any 64 bytes do for a test"};
    int file = open("/dev/urandom", O_WRONLY);
    if (ioctl(file, RNDADDENTROPY, &given)) perror("entropy");
    close(file);
}

int main(void) {
    char command_line[4096], *at;
    have_entropy();
    setvbuf(stdout, NULL, _IONBF, 0);
    read_text("/proc/cmdline", command_line, sizeof command_line);
    if ((at = strstr(command_line, "meghdwar.disk="))) sscanf(at + 14, "%63[^:]:%127[^ \n]", serial, location);
    snprintf(log_path, sizeof log_path, "%s/log", location);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(80)};
    int server = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(server, (struct sockaddr *)&any, sizeof any) || listen(server, 64)) perror("listen");
    printf("COUNTER ready for %s at %s\n", serial, location);
    fcntl(server, F_SETFL, O_NONBLOCK);
    for (;;) {
        struct pollfd waiting[CALLERS + 1] = {{server, POLLIN, 0}};
        for (int i = 0; i < calling; i++) waiting[i + 1] = (struct pollfd){callers[i].socket, POLLIN, 0};
        int some = poll(waiting, calling + 1, log_file < 0 ? 20 : 1000);
        for (int i = calling - 1; i >= 0; i--)
            if (hear(&callers[i])) hang_up(i);
        take_callers(server);
        if (!some) take_hold();
    }
}
