package deviation_test

// Prompts of several sentences that are on the tasks, written before anything was chosen by them.
var (
	supportSentences = []string{
		"A customer wrote in this morning. She says the May invoice lists five licences, but only four people work there. What should I tell her about getting the difference back?",
		"The bank has sent us a chargeback for order 5512. We delivered on time and have the signature. Draft the evidence letter. Keep it factual.",
		"Please read the ticket below. The man is furious because his plan renewed after he had asked to cancel. How can we calm him down and still keep the fee?",
		"Two payments of 49 euros went through within a minute. Is that a duplicate or a retry by the card network? Explain it in words that the customer understands.",
		"I am new in the team. Which cases may I refund without asking the lead? Answer with a short table.",
		"He missed three instalments last year. Now he asks for a payment plan over six months. Can we waive the late fee? Write him a mail with our offer.",
		"You are an experienced support agent. Summarise this case in two lines. The credit was promised on the 3rd, but the customer still sees the full amount due.",
		"Her card was declined twice. She then paid by transfer, and the invoice is still open. What do I write in the case notes?",
		"Our terms changed in June. Customers who signed before keep the old price. How do I correct an invoice that was made with the new one?",
		"Translate this reply into German. Dear customer, we have credited the wrong charge to your account and apologise for the trouble.",
	}
	analystSentences = []string{
		"I have a table of subscriptions with a start and an end date. Some rows have no end. Write a query that gives the retention after three, six and twelve months.",
		"This takes forty minutes to run. It scans the whole events table for each customer. Which index would help?",
		"Here is the schema. The column plan_id is empty for trials. How do I count customers who left without ever paying?",
		"My boss does not understand why churn went up although we won customers. Explain it in three sentences. Use the numbers from the March cohort.",
		"The dashboard shows 4.1 percent. My own query gives 3.7. Where could the difference come from?",
		"Please check this for mistakes. It should return one row per customer and month, but some months appear twice.",
		"We moved to a new warehouse last week. Rewrite the cohort report for BigQuery. Keep the column names.",
		"Act as a senior analyst. What chart shows best that customers leave after the second invoice? The board has five minutes for it.",
		"There are duplicates in the accounts table. They come from the merger. Show me a safe way to remove them before I compute the rate.",
		"Use a window function. For each customer I want the number of days between two orders. Leave out those with a single order.",
	}
	travelSentences = []string{
		"Anna has to be in Madrid on Tuesday at nine. She lives in Lyon. What is the earliest flight on Monday evening, and where could she sleep near the fair?",
		"His suitcase did not arrive. The airline says it is still in Doha. What is he entitled to, and whom should he call?",
		"We are twelve people and go to Vienna in May. Most prefer the train. Make a plan with times and prices.",
		"The keynote was moved to Thursday. Can the room be kept for another night? Write to the hotel and be friendly.",
		"Our engineer holds an Indian passport. He changes planes in London and does not leave the airport. Does he need a visa?",
		"Please sort these receipts. Two are from the taxi and one is the minibar. Which ones does our policy cover?",
		"There is a strike on Friday. Three colleagues are booked through Frankfurt. Rebook them, and tell me what it costs.",
		"You are our travel desk. A director wants business class for a flight of four hours. What do I answer?",
		"I need an itinerary for two days in Milan. Leave room for a customer visit on the first afternoon. Answer as a list.",
		"She lands at midnight. No bus runs at that time. Book a car with a driver, and send me the confirmation.",
	}
)
