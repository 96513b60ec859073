/* The counter as the first process of a server of the lab. Its state is a log on its volume, as it is, without a file
 * system: record N is sector N - 1 and holds the line "N CRC\n" (CRC: the CRC-32 of the text N, 8 hex digits). Its volume
 * is the disk with a serial number: one that comes while the server boots may be found before the server's own disk is.
 *
 * GET /next writes the next record, past every cache, and only then answers N; GET /n answers the last N. Without the
 * volume it answers 503 to both and waits: the volume may come and go at any time.
 */
#define _GNU_SOURCE /* O_DIRECT */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SECTOR 512
static char device[] = "/dev/vd?";
static char *record;
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

static void line_of(unsigned long n, char *line) {
    char number[32];
    snprintf(number, sizeof number, "%lu", n);
    snprintf(line, SECTOR, "%s %08x\n", number, crc32_of(number));
}

/* Whether record n is there, whole. */
static int is_there(unsigned long n) {
    char wanted[SECTOR];
    line_of(n, wanted);
    return pread(log_file, record, SECTOR, (off_t)(n - 1) * SECTOR) == SECTOR && !strncmp(record, wanted, SECTOR);
}

static void let_go(const char *why) {
    printf("COUNTER lets go at %lu: %s\n", last, why);
    close(log_file);
    log_file = -1;
}

/* Whether there is a volume; `device` is where. */
static int find(void) {
    char path[] = "/sys/block/vd?/serial";
    for (char letter = 'a'; letter <= 'z'; letter++) {
        path[sizeof "/sys/block/vd" - 1] = device[sizeof device - 2] = letter;
        FILE *serial = fopen(path, "r");
        int first = serial ? fgetc(serial) : EOF;
        if (serial) fclose(serial);
        if (first > ' ') return 1;
    }
    return 0;
}

static void take_hold(void) {
    struct stat there, held;
    int is = find() && !stat(device, &there);
    if (log_file >= 0) {
        if (is && !fstat(log_file, &held) && held.st_rdev == there.st_rdev) return;
        let_go("the volume is gone");
    }
    if (!is || (log_file = open(device, O_RDWR | O_DIRECT | O_SYNC)) < 0) return;
    unsigned long high = 1;
    while (is_there(high)) high *= 2; /* records have no gaps, so that halving finds the last */
    last = high / 2;
    for (unsigned long step = high / 4; step; step /= 2)
        if (is_there(last + step)) last += step;
    printf("COUNTER at %lu\n", last);
}

static int next(void) {
    memset(record, 0, SECTOR);
    line_of(last + 1, record);
    if (pwrite(log_file, record, SECTOR, (off_t)last * SECTOR) != SECTOR || fsync(log_file)) {
        let_go("it cannot be written");
        return 0;
    }
    last++;
    return 1;
}

static void answer(int client) {
    char request[2048], body[64] = "", reply[256];
    int got = 0, more;
    struct timeval second = {1, 0};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    do {
        more = (int)recv(client, request + got, sizeof request - 1 - got, 0);
        if (more > 0) got += more;
        request[got] = 0;
    } while (more > 0 && !strstr(request, "\r\n\r\n") && got < (int)sizeof request - 1);
    take_hold();
    const char *status = "503 Service Unavailable";
    int is_next = !strncmp(request, "GET /next ", 10), is_n = !strncmp(request, "GET /n ", 7);
    if (!is_next && !is_n) status = "404 Not Found";
    else if (log_file >= 0 && (is_n || next())) {
        status = "200 OK";
        snprintf(body, sizeof body, "%lu", last);
    }
    int size = snprintf(reply, sizeof reply, "HTTP/1.0 %s\r\nContent-Length: %d\r\n\r\n%s", status, (int)strlen(body), body);
    if (send(client, reply, size, MSG_NOSIGNAL) < 0) perror("send");
    close(client);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    if (posix_memalign((void **)&record, 4096, SECTOR)) return 1;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(80)};
    int server = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(server, (struct sockaddr *)&any, sizeof any) || listen(server, 64)) perror("listen");
    printf("COUNTER ready\n");
    for (;;) {
        struct pollfd waiting = {server, POLLIN, 0};
        if (poll(&waiting, 1, 500) > 0) {
            int client = accept(server, NULL, NULL);
            if (client >= 0) answer(client);
        } else {
            take_hold();
        }
    }
}
