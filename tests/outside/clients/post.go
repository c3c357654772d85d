// Posts so many bytes with Go's own client, with or without "close". Prints the status and the body.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

func main() {
	size, _ := strconv.Atoi(os.Args[2])
	request, _ := http.NewRequest("POST", os.Args[1], bytes.NewReader(bytes.Repeat([]byte("x"), size)))
	request.Close = os.Args[3] == "close"
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(answer.StatusCode, string(body))
}
