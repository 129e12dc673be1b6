# One HTTP request in plain bash, since the images have no client. Prints the body; fails unless the status is 2xx.
#   request METHOD HOST PORT PATH CONTENT-TYPE BODY
request() {
    local LC_ALL=C line status body
    exec 3<> "/dev/tcp/$2/$3" || return 1
    printf '%s %s HTTP/1.0\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
        "$1" "$4" "$2" "$5" "${#6}" "$6" >&3
    read -r _ status _ <&3
    while read -r line <&3 && [ "${line%$'\r'}" ]; do :; done
    body=$(cat <&3)
    exec 3>&-
    printf '%s\n' "$body"
    [[ $status == 2* ]]
}
