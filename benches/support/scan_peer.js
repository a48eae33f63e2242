// Scans a table to plain items as people do on Node, twice, and prints the processor time per item of the second scan, in nanoseconds.
//
//     scan_peer.js PORT       needs @aws-sdk/client-dynamodb and @aws-sdk/util-dynamodb beside it
const { DynamoDBClient, paginateScan } = require("@aws-sdk/client-dynamodb");
const { unmarshall } = require("@aws-sdk/util-dynamodb");

const client = new DynamoDBClient({
  endpoint: `http://127.0.0.1:${process.argv[2]}`,
  region: "local",
  credentials: { accessKeyId: "bench", secretAccessKey: "bench" },
});

const scan = async () => {
  let count = 0;
  for await (const page of paginateScan({ client }, { TableName: "PetTracker" })) {
    for (const item of page.Items) {
      unmarshall(item);
      count += 1;
    }
  }
  return count;
};

(async () => {
  await scan();
  const begin = process.cpuUsage();
  const items = await scan();
  const { user, system } = process.cpuUsage(begin);
  console.log(Math.round(((user + system) * 1000) / items));
})();
