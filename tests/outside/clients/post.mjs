// Posts so many bytes with Node's own client, with or without "close". Prints the status and the body.
import http from "node:http";

const [url, size, connection] = process.argv.slice(2);
const headers = { "Content-Length": size, Connection: connection === "close" ? "close" : "keep-alive" };
const request = http.request(url, { method: "POST", headers }, (answer) => {
  let body = "";
  answer.on("data", (chunk) => (body += chunk));
  answer.on("end", () => {
    console.log(answer.statusCode, body);
    process.exit(0);
  });
});
request.on("error", (error) => {
  console.log(error.message);
  process.exit(1);
});
request.end(Buffer.alloc(Number(size), "x"));
