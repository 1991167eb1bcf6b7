/* A Bot API that costs next to nothing: one thread, epoll, answers written the moment a request is whole.
 *
 *     sink <port>             listens on 127.0.0.1; 0 takes a free port; "listening on <port>" when ready
 *
 * POST /bot<token>/sendMessage   Telegram's Message with the chat and the text of the request; counts the chat
 * any  /bot<token>/getMe         the bot of that token
 * POST /hook/<number>            a webhook: 200, and a note of the digits that `webhook-id` ends with
 * GET  /arrivals                 the webhooks since the last reset, a line each: its number, the hook's, when
 * GET  /counts                   what arrived since the last reset (times in seconds since the epoch)
 * POST /reset                    forget it
 *
 * HTTP/1.1 with Content-Length, kept alive, pipelined or in pieces. Chats are marked in a bitmap, so that a
 * second message to one is noticed: ids from 1 to 2^27 - 1, others count as `strange`.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 64 << 10, MOST_BYTES = 1 << 20, EVENTS = 512 };
static const long CHATS = 1L << 27;

struct buffer { char *bytes; size_t length, room; };
struct connection { int socket, closing; struct buffer in, out; size_t written; };

static struct { unsigned long messages, unique, doubled, strange; long greatest; double first, last; } counts;
static unsigned char *seen;
static unsigned long message_id;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void make_room(struct buffer *buffer, size_t more) {
    if (buffer->length + more <= buffer->room) return;
    while (buffer->length + more > buffer->room) buffer->room = buffer->room ? buffer->room * 2 : 4096;
    buffer->bytes = realloc(buffer->bytes, buffer->room);
    if (!buffer->bytes) abort();
}

static void append(struct buffer *buffer, const char *bytes, size_t length) {
    make_room(buffer, length);
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
}

static void answer(struct connection *to, int status, const char *body, size_t length) {
    char head[160];
    const char *reason = status == 200 ? "OK" : status == 404 ? "Not Found" : "Bad Request";
    int size = snprintf(head, sizeof head,
        "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n",
        status, reason, length, to->closing ? "Connection: close\r\n" : "");
    append(&to->out, head, (size_t)size);
    append(&to->out, body, length);
}

static void refuse(struct connection *to, int status, const char *why) {
    char body[200];
    int size = snprintf(body, sizeof body, "{\"ok\":false,\"error_code\":%d,\"description\":\"%s\"}", status, why);
    answer(to, status, body, (size_t)size);
}

/* The value of a member of the top object. A quote inside a string is escaped, so that no text holds `name`. */
static const char *member(const char *body, const char *end, const char *name) {
    const char *at = memmem(body, (size_t)(end - body), name, strlen(name));
    if (!at) return NULL;
    for (at += strlen(name); at < end && (*at == ' ' || *at == ':'); at++) {}
    return at < end ? at : NULL;
}

static size_t string_length(const char *at, const char *end) { /* with its quotes; 0: no string */
    if (!at || *at != '"') return 0;
    for (const char *next = at + 1; next < end; next++) {
        if (*next == '\\') next++;
        else if (*next == '"') return (size_t)(next + 1 - at);
    }
    return 0;
}

static void count(long chat) {
    counts.last = now();
    if (!counts.messages++) counts.first = counts.last;
    if (chat <= 0 || chat >= CHATS) { counts.strange++; return; }
    unsigned char *byte = &seen[chat >> 3], bit = (unsigned char)(1 << (chat & 7));
    if (*byte & bit) counts.doubled++; else { *byte |= bit; counts.unique++; }
    if (chat > counts.greatest) counts.greatest = chat;
}

static void send_message(struct connection *to, const char *bot, const char *body, const char *end) {
    const char *chat_at = member(body, end, "\"chat_id\""), *text = member(body, end, "\"text\"");
    size_t text_length = string_length(text, end);
    char *number_end = NULL;
    long chat = chat_at ? strtol(chat_at + (*chat_at == '"'), &number_end, 10) : 0;
    if (!chat || !text_length) { refuse(to, 400, "Bad Request: chat not found or message text is empty"); return; }
    count(chat);
    static struct buffer result;
    make_room(&result, (result.length = 0) + text_length + 400);
    int size = snprintf(result.bytes, 400,
        "{\"ok\":true,\"result\":{\"message_id\":%lu,\"from\":{\"id\":%ld,\"is_bot\":true,\"first_name\":\"Sink\","
        "\"username\":\"sink_bot\"},\"chat\":{\"id\":%ld,\"first_name\":\"Somebody\",\"type\":\"private\"},"
        "\"date\":%ld,\"text\":", ++message_id, strtol(bot, NULL, 10), chat, (long)counts.last);
    result.length = (size_t)size;
    append(&result, text, text_length);
    append(&result, "}}", 2);
    answer(to, 200, result.bytes, result.length);
}

static void get_me(struct connection *to, const char *bot) {
    char body[200];
    int size = snprintf(body, sizeof body,
        "{\"ok\":true,\"result\":{\"id\":%ld,\"is_bot\":true,\"first_name\":\"Sink\",\"username\":\"sink_bot\"}}",
        strtol(bot, NULL, 10));
    answer(to, 200, body, (size_t)size);
}

static void show_counts(struct connection *to) {
    char body[300];
    int size = snprintf(body, sizeof body,
        "{\"messages\":%lu,\"unique\":%lu,\"doubled\":%lu,\"strange\":%lu,\"greatest\":%ld,\"first\":%.6f,\"last\":%.6f}",
        counts.messages, counts.unique, counts.doubled, counts.strange, counts.greatest, counts.first, counts.last);
    answer(to, 200, body, (size_t)size);
}

struct arrival { long event; int hook; double at; };
static struct { struct arrival *all; size_t length, room; } arrivals;

static void take_hook(struct connection *of, const char *hook, const char *head) {
    const char *id = strcasestr(head, "\r\nwebhook-id:"), *end = id ? strstr(id + 2, "\r\n") : NULL;
    if (!end) { refuse(of, 400, "Bad Request: no webhook-id"); return; }
    const char *digits = end;
    while (digits[-1] >= '0' && digits[-1] <= '9') digits--;
    if (arrivals.length == arrivals.room) {
        arrivals.room = arrivals.room ? arrivals.room * 2 : 1024;
        arrivals.all = realloc(arrivals.all, arrivals.room * sizeof *arrivals.all);
        if (!arrivals.all) abort();
    }
    arrivals.all[arrivals.length++] = (struct arrival){strtol(digits, NULL, 10), atoi(hook), now()};
    answer(of, 200, "{}", 2);
}

static void show_arrivals(struct connection *to) {
    static struct buffer lines;
    lines.length = 0;
    for (size_t place = 0; place < arrivals.length; place++) {
        struct arrival *one = &arrivals.all[place];
        char line[80];
        append(&lines, line, (size_t)snprintf(line, sizeof line, "%ld %d %.6f\n", one->event, one->hook, one->at));
    }
    answer(to, 200, lines.bytes ? lines.bytes : "", lines.length);
}

static void reset(struct connection *to) {
    memset(&counts, 0, sizeof counts);
    arrivals.length = 0;
    memset(seen, 0, (size_t)CHATS / 8);
    answer(to, 200, "{}", 2);
}

static void serve(struct connection *of, char *request, const char *body, const char *end) {
    char *path = strchr(request, ' '), *path_end = path ? strchr(path + 1, ' ') : NULL;
    if (!path_end) { refuse(of, 400, "Bad Request"); return; }
    *path_end = 0;
    path += 1;
    const char *method = strncmp(path, "/bot", 4) ? NULL : strchr(path + 4, '/');
    if (method && !strcmp(method, "/sendMessage")) send_message(of, path + 4, body, end);
    else if (method && !strcmp(method, "/getMe")) get_me(of, path + 4);
    else if (!strncmp(path, "/hook/", 6)) take_hook(of, path + 6, path_end + 1);
    else if (!strcmp(path, "/arrivals")) show_arrivals(of);
    else if (!strcmp(path, "/counts")) show_counts(of);
    else if (!strcmp(path, "/reset")) reset(of);
    else refuse(of, 404, "Not Found");
}

/* Serve what has come in whole; the rest of it waits. */
static void serve_all(struct connection *of) {
    char *at = of->in.bytes, *end = at + of->in.length;
    while (at < end && !of->closing) {
        char *head_end = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
        if (!head_end) break;
        head_end[2] = 0;
        char *length = strcasestr(at, "\r\ncontent-length:");
        long size = length ? strtol(length + 17, NULL, 10) : 0;
        char *body = head_end + 4;
        if (size < 0 || size > MOST_BYTES || strcasestr(at, "\r\ntransfer-encoding:")) {
            of->closing = 1;
            refuse(of, 400, "Bad Request: a Content-Length of at most 1 MiB is needed");
            break;
        }
        if (end - body < size) { head_end[2] = '\r'; break; }
        of->closing = strcasestr(at, "\r\nconnection: close") != NULL;
        serve(of, at, body, body + size);
        at = body + size;
    }
    of->in.length = (size_t)(end - at);
    memmove(of->in.bytes, at, of->in.length);
}

static int flush(struct connection *to) { /* 0: the connection is done for */
    while (to->written < to->out.length) {
        ssize_t sent = send(to->socket, to->out.bytes + to->written, to->out.length - to->written, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN || errno == EINTR;
        to->written += (size_t)sent;
    }
    to->written = to->out.length = 0;
    return !to->closing;
}

static int ready(struct connection *of, int ending) { /* 0: the connection is done for */
    for (;;) {
        make_room(&of->in, READ_BYTES + 1);
        ssize_t got = recv(of->socket, of->in.bytes + of->in.length, READ_BYTES, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return 0;
        if (got < 0) return flush(of);
        of->in.length += (size_t)got;
        serve_all(of);
        if (of->in.length > 2 * MOST_BYTES || !flush(of)) return 0;
        if (got < READ_BYTES && !ending) return 1; /* that was all; an end comes without a further event */
    }
}

static void accept_all(int listener, int events) {
    for (int socket; (socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        int on = 1;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *made = calloc(1, sizeof *made);
        if (!made) abort();
        made->socket = socket;
        struct epoll_event wanted = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = made};
        epoll_ctl(events, EPOLL_CTL_ADD, socket, &wanted);
    }
}

static int listen_on(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096)
        || getsockname(listener, (struct sockaddr *)&address, &size)) {
        perror("sink");
        exit(1);
    }
    printf("listening on %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlives the bench */
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    seen = calloc((size_t)CHATS / 8, 1);
    if (!seen) abort();
    int listener = listen_on(argc > 1 ? atoi(argv[1]) : 0), events = epoll_create1(0);
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = NULL}, happened[EVENTS];
    epoll_ctl(events, EPOLL_CTL_ADD, listener, &wanted);
    for (;;) {
        int number = epoll_wait(events, happened, EVENTS, -1);
        for (int place = 0; place < number; place++) {
            struct connection *of = happened[place].data.ptr;
            if (!of) { accept_all(listener, events); continue; }
            if (ready(of, (happened[place].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)) continue;
            close(of->socket);
            free(of->in.bytes);
            free(of->out.bytes);
            free(of);
        }
    }
}
