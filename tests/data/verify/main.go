package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var parts []string
		for _, field := range strings.Split(lines.Text(), "\t") {
			part, _ := base64.StdEncoding.DecodeString(field)
			parts = append(parts, string(part))
		}
		fmt.Println(IsOurs(parts[0], parts[1], parts[2], parts[3], []byte(parts[4])))
	}
}
