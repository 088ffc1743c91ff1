// A REST front for a Redis, on the loopback interface alone (the package's own program listens on all).
// Reads one line of JSON, {redisUrl, token}, prints its port once Redis answers through it, and ends
// with its standard input, so that it does not outlive who started it.
import { createInterface } from "node:readline";
import { serve } from "@hono/node-server";
import { createApp } from "@humanwhocodes/upstash-redis-server";

const lines = createInterface({ input: process.stdin });
lines.once("close", () => process.exit(0));
lines.once("line", async (line) => {
  const { redisUrl, token } = JSON.parse(line);
  const app = createApp({ redisUrl, token });
  const reply = await app.request("/", {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: '["PING"]',
  });
  if (!reply.ok) {
    console.error(await reply.text());
    process.exit(1);
  }
  serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => console.log(port));
});
