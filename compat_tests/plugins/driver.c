/* A volume driver, log driver and authorization plugin for the tests: one static program, the whole tree of a managed
 * plugin. What it is logged is in the file /log, as it came, and is given back as it is there.
 * It answers on /run/docker/plugins/test.sock. Volumes are directories below /data, the propagated mount; what it was
 * started with is in the status of each volume. With DIE=1 in its environment it ends at once. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char *socket_path = "/run/docker/plugins/test.sock";
static char request[1 << 16], reply[1 << 14], name[256], path[300];

static int receive(int connection)
{
    size_t size = 0;
    for (;;) {
        ssize_t got = read(connection, request + size, sizeof(request) - 1 - size);
        if (got <= 0)
            return -1;
        size += got;
        request[size] = 0;
        char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "content-length:");
        if (end && (size_t)(end + 4 - request) + (length ? atoi(length + 15) : 0) <= size)
            return 0;
    }
}

static void find_name(void)
{
    char *at = strstr(request, "\"Name\":\"");
    name[0] = 0;
    if (at)
        sscanf(at + 8, "%255[^\"]", name);
    snprintf(path, sizeof(path), "/data/%s", name);
}

static void status(char *out, size_t size, int argc, char **argv)
{
    size_t used = snprintf(out, size, "{\"colour\":\"%s\",\"arguments\":\"", getenv("COLOUR") ? getenv("COLOUR") : "");
    for (int i = 1; i < argc; i++)
        used += snprintf(out + used, size - used, "%s%s", i > 1 ? " " : "", argv[i]);
    snprintf(out + used, size - used, "\",\"mounted\":%s}", access("/mounted/mark", F_OK) ? "false" : "true");
}

static void list(char *out, size_t size)
{
    size_t used = snprintf(out, size, "{\"Volumes\":[");
    DIR *data = opendir("/data");
    struct dirent *entry;
    for (int first = 1; data && (entry = readdir(data));)
        if (entry->d_name[0] != '.') {
            used += snprintf(out + used, size - used, "%s{\"Name\":\"%s\"}", first ? "" : ",", entry->d_name);
            first = 0;
        }
    if (data)
        closedir(data);
    snprintf(out + used, size - used, "]}");
}

static void take_log(void)
{
    char *at = strstr(request, "\"File\":\""), block[4096];
    ssize_t size;
    if (at)
        sscanf(at + 8, "%255[^\"]", name);
    if (fork())
        return;
    int from = open(name, O_RDONLY), to = open("/log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    while ((size = read(from, block, sizeof(block))) > 0)
        write(to, block, size);
    _exit(0);
}

static void give_log(int connection)
{
    int file = open("/log", O_RDONLY);
    ssize_t size = file < 0 ? 0 : read(file, request, sizeof(request));
    close(file);
    dprintf(connection, "HTTP/1.1 200 OK\r\nContent-Length: %zd\r\n\r\n", size);
    write(connection, request, size);
}

static void answer(int argc, char **argv)
{
    char facts[1024];
    find_name();
    if (strstr(request, "/Plugin.Activate"))
        strcpy(reply, "{\"Implements\":[\"VolumeDriver\",\"LogDriver\",\"authz\"]}");
    else if (strstr(request, "/AuthZPlugin."))
        sprintf(reply, "{\"Allow\":%s,\"Msg\":\"not that one\"}", strstr(request, "forbidden") ? "false" : "true");
    else if (strstr(request, "/LogDriver.Capabilities"))
        strcpy(reply, "{\"Cap\":{\"ReadLogs\":true}}");
    else if (strstr(request, "/LogDriver.")) {
        strcpy(reply, "{\"Err\":\"\"}");
        if (strstr(request, "StartLogging"))
            take_log();
    } else if (strstr(request, "/VolumeDriver.Capabilities"))
        strcpy(reply, "{\"Capabilities\":{\"Scope\":\"global\"}}");
    else if (strstr(request, "/VolumeDriver.Create"))
        strcpy(reply, mkdir(path, 0755) ? "{\"Err\":\"cannot make it\"}" : "{\"Err\":\"\"}");
    else if (strstr(request, "/VolumeDriver.Remove"))
        strcpy(reply, rmdir(path) ? "{\"Err\":\"not empty\"}" : "{\"Err\":\"\"}");
    else if (strstr(request, "/VolumeDriver.List"))
        list(reply, sizeof(reply));
    else if (strstr(request, "/VolumeDriver.Get") && access(path, F_OK))
        strcpy(reply, "{\"Err\":\"no such volume\"}");
    else if (strstr(request, "/VolumeDriver.Get")) {
        status(facts, sizeof(facts), argc, argv);
        sprintf(reply, "{\"Volume\":{\"Name\":\"%s\",\"Mountpoint\":\"%s\",\"Status\":%s}}", name, path, facts);
    } else
        sprintf(reply, "{\"Mountpoint\":\"%s\",\"Err\":\"\"}", path);
}

static void finish(int number)
{
    _exit(number == SIGTERM ? 0 : 1);
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (getenv("DIE") && !strcmp(getenv("DIE"), "1"))
        return 7;
    dprintf(1, "said %s\n", getenv("COLOUR") ? getenv("COLOUR") : "");
    dprintf(2, "complained \"loudly\"\n");
    signal(SIGTERM, finish);
    signal(SIGCHLD, SIG_IGN);
    strcpy(address.sun_path, socket_path);
    unlink(socket_path);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 64))
        return 8;
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        while (connection >= 0 && !receive(connection)) {
            if (strstr(request, "/LogDriver.ReadLogs")) {
                give_log(connection);
                continue;
            }
            answer(argc, argv);
            dprintf(connection, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(reply), reply);
        }
        close(connection);
    }
}
