// LangChain.js on a REST server. Reads a JSON object from standard input:
//   {url, token, sessionId, sessionTTL?, action, messages?}
// and does one action: "write" (messages, each {type, ...fields of its class}), "read" or "clear".
// Prints JSON: the messages as `toDict()` has them for "read", else null.
import { text } from "node:stream/consumers";
import { UpstashRedisChatMessageHistory } from "@langchain/community/stores/message/upstash_redis";
import { AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { Redis } from "@upstash/redis";

const classes = {
  ai: AIMessage,
  generic: ChatMessage,
  human: HumanMessage,
  system: SystemMessage,
  tool: ToolMessage,
};

const { url, token, sessionId, sessionTTL, action, messages } = JSON.parse(await text(process.stdin));
// No encoding: a front that does not know it would ignore it. No retries: a failure is to be seen.
const client = new Redis({ url, token, responseEncoding: false, retry: false, enableTelemetry: false });
const history = new UpstashRedisChatMessageHistory({ client, sessionId, sessionTTL });
const actions = {
  async write() {
    for (const { type, ...fields } of messages) {
      await history.addMessage(new classes[type](fields));
    }
    return null;
  },
  async read() {
    return (await history.getMessages()).map((message) => message.toDict());
  },
  async clear() {
    await history.clear();
    return null;
  },
};
console.log(JSON.stringify(await actions[action]()));
