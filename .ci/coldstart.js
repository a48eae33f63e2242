// The same work as `replicate`'s on Node, for `.ci/coldstart --node`: the Runtime API's loop around a bundled SDK.
//
//     npm install @aws-sdk/client-dynamodb esbuild
//     npx esbuild coldstart.js --bundle --minify --platform=node --outfile=index.js
const http = require("node:http");
const { DynamoDBClient, PutItemCommand, DeleteItemCommand } = require("@aws-sdk/client-dynamodb");

const client = new DynamoDBClient({});
const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;

const request = (url, method, body) =>
  new Promise((resolve, reject) => {
    const call = http.request(url, { method }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(parts).toString() }));
    });
    call.on("error", reject);
    call.end(body);
  });

const handle = async ({ Records }) => {
  const TableName = process.env.TARGET_TABLE;
  for (const { dynamodb } of Records) {
    const { Keys, NewImage } = dynamodb;
    await client.send(NewImage ? new PutItemCommand({ TableName, Item: NewImage }) : new DeleteItemCommand({ TableName, Key: Keys }));
  }
  return { batchItemFailures: [] };
};

(async () => {
  for (;;) {
    const { headers, body } = await request(`${api}/next`, "GET");
    const answer = await handle(JSON.parse(body));
    await request(`${api}/${headers["lambda-runtime-aws-request-id"]}/response`, "POST", JSON.stringify(answer));
  }
})();
